import { expect, test } from 'vitest';
import { inTransaction } from '../../../src/storage/database.ts';
import { listAudit, recordAudit } from '../../../src/storage/operators/audit.ts';
import {
  addApiKey,
  addMerchant,
  findMerchantByKeyHash,
  getMerchant,
  hashApiKey,
  listKeys,
  listMerchants,
  revokeKey,
} from '../../../src/storage/operators/merchants.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';

const at = 1_800_000_000_000;
const merchantIn = (db: Db, name: string, when = at) =>
  inTransaction(db, (trx) => addMerchant(trx, { name, at: when }));
const keyOf = (db: Db, merchantId: string, when = at) =>
  inTransaction(db, (trx) => addApiKey(trx, { merchantId, at: when }));

describeDatabases('merchants and their keys', (openTestDb) => {
  test('a merchant is found by its id and listed oldest first', async () => {
    const db = await openTestDb();
    const second = await merchantIn(db, 'Second', at + 1);
    const first = await merchantIn(db, 'First', at);
    expect(await getMerchant(db, first.id)).toEqual({
      id: first.id,
      name: 'First',
      createdAt: at,
      removedAt: null,
    });
    expect((await listMerchants(db)).map((merchant) => merchant.id)).toEqual([first.id, second.id]);
    expect(await getMerchant(db, 'mer_unknown')).toBeNull();
  });

  test('a key is pk_ and 64 hex digits, and the database holds its SHA-256 and first characters alone', async () => {
    const db = await openTestDb();
    const merchant = await merchantIn(db, 'Shop');
    const { secret, apiKey } = await keyOf(db, merchant.id);
    expect(secret).toMatch(/^pk_[0-9a-f]{64}$/);
    expect(apiKey).toEqual({
      id: apiKey.id,
      merchantId: merchant.id,
      prefix: secret.slice(0, 11),
      createdAt: at,
      revokedAt: null,
    });
    const stored = JSON.stringify(await db.selectFrom('api_keys').selectAll().execute());
    expect(stored).toContain(hashApiKey(secret));
    expect(stored).not.toContain(secret.slice(0, 12));
  });

  test('a key leads to its own merchant until it is revoked, and the other keys go on', async () => {
    const db = await openTestDb();
    const [shop, rival] = [await merchantIn(db, 'Shop'), await merchantIn(db, 'Rival')];
    const [old, fresh, other] = [
      await keyOf(db, shop.id),
      await keyOf(db, shop.id),
      await keyOf(db, rival.id),
    ];
    const owner = async (secret: string) =>
      (await findMerchantByKeyHash(db, hashApiKey(secret)))?.merchantId ?? null;
    expect([await owner(old.secret), await owner(other.secret)]).toEqual([shop.id, rival.id]);

    const revoked = await inTransaction(db, (trx) => revokeKey(trx, { id: old.apiKey.id, at: at + 5 }));
    expect(revoked).toEqual({ ...old.apiKey, revokedAt: at + 5 });
    expect([await owner(old.secret), await owner(fresh.secret)]).toEqual([null, shop.id]);
    expect(await owner(`pk_${'0'.repeat(64)}`)).toBeNull();
    expect((await listKeys(db, shop.id)).map((key) => key.revokedAt)).toContain(at + 5);
  });

  test('revoking an unknown key, or one a second time, changes nothing and says so', async () => {
    const db = await openTestDb();
    const { apiKey } = await keyOf(db, (await merchantIn(db, 'Shop')).id);
    const revoke = (id: string, when: number) => inTransaction(db, (trx) => revokeKey(trx, { id, at: when }));
    expect(await revoke('key_unknown', at)).toBeNull();
    expect(await revoke(apiKey.id, at)).not.toBeNull();
    expect(await revoke(apiKey.id, at + 1)).toBeNull();
    expect((await listKeys(db, apiKey.merchantId)).map((key) => key.revokedAt)).toEqual([at]);
  });
});

describeDatabases('the audit log', (openTestDb) => {
  test('entries are read newest first, page by page', async () => {
    const db = await openTestDb();
    for (const subject of ['a', 'b', 'c']) {
      await inTransaction(db, (trx) =>
        recordAudit(trx, { at, actor: 'cli', action: 'merchant.added', subject, detail: { name: subject } }),
      );
    }
    const page = await listAudit(db, { beforeId: null, limit: 2 });
    expect(page.map((entry) => [entry.subject, entry.detail])).toEqual([
      ['c', { name: 'c' }],
      ['b', { name: 'b' }],
    ]);
    const rest = await listAudit(db, { beforeId: page[1]?.id ?? 0, limit: 2 });
    expect(rest.map((entry) => entry.subject)).toEqual(['a']);
  });

  test('an entry of a change that was rolled back is gone with it', async () => {
    const db = await openTestDb();
    const failing = inTransaction(db, async (trx) => {
      await recordAudit(trx, { at, actor: 'cli', action: 'merchant.added', subject: 'x', detail: {} });
      throw new Error('the change itself failed');
    });
    await expect(failing).rejects.toThrow('the change itself failed');
    expect(await listAudit(db, { beforeId: null, limit: 2 })).toEqual([]);
  });
});
