import { expect, test } from 'vitest';
import { inTransaction } from '../../src/storage/database.ts';
import { evmAddress, evmKey } from '../support/addresses.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { usdtOnBsc } from '../support/payments.ts';

/*
 * A failover to a replica that lacks the last commits, or a restore under a running daemon: what the process has read is not what the
 * database holds, which gives the same ids again.
 */

/** The last address is lost; `anew`: the number of another that is given its id. */
async function goBack({ db, merchantId }: World, anew: number | null): Promise<void> {
  await inTransaction(db, async (trx) => {
    const { id } = await trx
      .selectFrom('addresses')
      .select('id')
      .orderBy('id', 'desc')
      .executeTakeFirstOrThrow();
    const row = await trx
      .deleteFrom('addresses')
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    if (anew === null) return;
    const address = evmAddress(anew);
    await trx
      .insertInto('addresses')
      .values({
        ...row,
        merchant_id: merchantId,
        address,
        address_key: evmKey(anew),
        created_at: row.created_at + 1,
      })
      .execute();
  });
}

describeDecisions('After the database went back', (openTestDb) => {
  for (const when of ['before the head', 'long before the head']) {
    test(`what is paid to an address under the id of one that was lost is seen at once: ${when}`, async () => {
      const world = await openWorld(await openTestDb(), { scripted: { maxRange: 5 } });
      await world.read();
      await goBack(world, 30);
      const payments = [await world.create(), await world.create(), await world.create()];
      const payment = payments.find(({ address }) => address === evmAddress(30));
      if (payment === undefined) throw new Error('the address was not given');
      world.chain.send({ ...world.transferTo(payment), recipient: evmKey(30) });
      world.mine(when === 'before the head' ? 5 : 40);
      await world.read();
      expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
      expect(world.findings).toEqual([]);
    });
  }

  test('money for an address that was lost keeps nobody from being seen', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    await goBack(world, null);
    world.chain.send({ token: usdtOnBsc, currency: 'usdt', recipient: evmKey(3), amount: 7n });
    const payment = await world.create();
    world.pay(payment);
    world.mine(5);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    await world.recheck();
  });
});
