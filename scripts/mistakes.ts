/** A mistake that a test must notice. */
export type Mistake = {
  /** What it makes of the rule. */
  what: string;
  file: string;
  /** A text that the file has exactly once, and what stands there instead. */
  find: string;
  replace: string;
  /** The test, by a part of its name. */
  caughtBy: { file: string; test: string };
};

type Row = [what: string, find: string, replace: string, test: string];

/** Mistakes of one file that tests of one file notice. */
export function planted(file: string, testFile: string, rows: readonly Row[]): Mistake[] {
  return rows.map(([what, find, replace, test]) => ({
    what,
    file,
    find,
    replace,
    caughtBy: { file: testFile, test },
  }));
}

const agreement = 'src/watchers/agreement';
const tests = 'test/watchers';

/** One at least for each row of each table of agreement, for each rule of chain time, and those that tests once missed. */
export const mistakes: readonly Mistake[] = [
  ...planted(`${agreement}/deposit.ts`, `${tests}/agreement/deposit.test.ts`, [
    [
      'one node is enough',
      'first.nodes < 2 || first.nodes === second?.nodes',
      'first.nodes < 1 || first.nodes === second?.nodes',
      'all others are silent, not for long',
    ],
    [
      'two statements of as many nodes are one',
      'first.nodes < 2 || first.nodes === second?.nodes',
      'first.nodes < 2',
      'others say two different times',
    ],
    [
      'the only node confirms nothing',
      "if (only?.vote.kind === 'has' && only.vote.deep && more.length === 0)",
      'if (only === null)',
      'there is no other, and the reporting node has it',
    ],
    [
      'the only node need not be deep',
      "only?.vote.kind === 'has' && only.vote.deep && more.length === 0",
      "only?.vote.kind === 'has' && more.length === 0",
      'the only node has it, not deep enough yet',
    ],
    [
      'one denial is enough',
      'const enough = Math.min(2, all.length);',
      'const enough = 1;',
      'the reporting node alone denies it, the others are silent',
    ],
    [
      'a balance denies',
      "({ vote }) => vote.kind === 'denies' && !vote.weak)",
      "({ vote }) => vote.kind === 'denies')",
      'the reporting node denies it, and another by a balance alone',
    ],
    [
      'it is gone though one has it',
      'if (!has && reporterDenies',
      'if (reporterDenies',
      'everybody denies it but one, that has it though not deep',
    ],
    [
      'it is gone though who reported it does not deny it',
      'if (!has && reporterDenies',
      'if (!has',
      'another denies it, and the reporting node by a balance alone',
    ],
    [
      'money without a transaction is gone',
      ' && deposit.txHash !== noTransaction',
      '',
      'money without a transaction is denied',
    ],
    [
      'a denial disputes nothing',
      "    vote.kind === 'denies' || (vote.kind === 'has' && !isRecorded(deposit, vote.statement));",
      "    vote.kind === 'has' && !isRecorded(deposit, vote.statement);",
      'one other denies it',
    ],
    [
      'another time disputes nothing',
      "    vote.kind === 'denies' || (vote.kind === 'has' && !isRecorded(deposit, vote.statement));",
      "    vote.kind === 'denies';",
      'one other says another time',
    ],
    [
      'an earlier denial is forgotten',
      'contradicts(other) || deniedBy.has(other.host)',
      'contradicts(other)',
      'one other has denied it before, and is silent now',
    ],
    [
      'nobody is waited for',
      "if (waited && reporter?.kind === 'has'",
      "if (reporter?.kind === 'has'",
      'all others are silent, not for long',
    ],
    [
      'it waits for ever',
      "if (waited && reporter?.kind === 'has' && reporter.deep)",
      'if (waited && reporter === undefined)',
      'is confirmed alone when all others have been silent for long enough',
    ],
    [
      'missing nodes can change nothing',
      'first.nodes > (second?.nodes ?? 0) + missing',
      'first.nodes > (second?.nodes ?? 0)',
      'two have it and two are missing, who may agree on another time',
    ],
  ]),
  ...planted(`${agreement}/block.ts`, `${tests}/agreement/block.test.ts`, [
    ['the only node decides nothing', "if (configured < 2) return 'revert';", '', 'one node alone decides'],
    [
      'our block need not have as many nodes',
      "if (ours >= 1 && ours >= other) return 'keep';",
      "if (ours >= 1) return 'keep';",
      'two against one: ours goes',
    ],
    [
      'our block is not kept',
      "if (ours >= 1 && ours >= other) return 'keep';",
      '',
      'one against one: ours stays',
    ],
    ['two are not enough', "if (other >= 2) return 'revert';", '', 'two, and nobody has ours'],
    [
      'one that is not past our cursor is enough',
      "waited && otherPast >= 1 ? 'revert alone'",
      "waited ? 'revert alone'",
      'one that is not past our cursor, after the wait',
    ],
    [
      'nobody is waited for',
      "waited && otherPast >= 1 ? 'revert alone'",
      "otherPast >= 1 ? 'revert alone'",
      'one, and the others are silent, not for long',
    ],
    [
      'it waits for ever',
      "return waited && otherPast >= 1 ? 'revert alone' : 'wait';",
      "return 'wait';",
      'one that is past our cursor, after the wait',
    ],
  ]),
  ...planted(`${agreement}/left-out.ts`, `${tests}/agreement/left-out.test.ts`, [
    [
      'a third node that has it does not count',
      "if (third.includes('has')) return { kind: 'disputed', byThird: true };",
      '',
      'a third node has it, another denies it',
    ],
    [
      'the reader is not asked again',
      "if (reader === 'has') return { kind: 'disputed', byThird: false };",
      '',
      'the reader has it after all',
    ],
    [
      'a third node that denies it does not count',
      "if (third.includes('denies')) return { kind: 'vanished' };",
      '',
      'a third node denies it',
    ],
    [
      'an earlier reader that has it does not count',
      "if (earlier.includes('has')) return { kind: 'disputed', byThird: false };",
      '',
      'an earlier reader has it',
    ],
    [
      'an earlier reader that denies it does not count',
      "if (earlier.includes('denies')) return { kind: 'vanished' };",
      '',
      'an earlier reader denies it',
    ],
    [
      'a reader that cannot say denies it',
      "if (reader === 'silent') return { kind: 'undecided' };",
      '',
      'there is only the reader, and it cannot say',
    ],
    [
      'the only node vanishes nothing',
      "if (third.length + earlier.length === 0) return { kind: 'vanished' };",
      '',
      'there is only the reader, and it is confirmed',
    ],
    [
      'what is confirmed vanishes by one word',
      'return waited && !confirmed ?',
      'return waited ?',
      'all others are silent for long, and it is confirmed',
    ],
    [
      'nobody is waited for',
      'return waited && !confirmed ?',
      'return !confirmed ?',
      'all others are silent, not for long',
    ],
  ]),
  ...planted(`${agreement}/finalized.ts`, `${tests}/agreement/finalized.test.ts`, [
    [
      'one of several is enough',
      'const needed = configured < 2 ? 1 : 2;',
      'const needed = 1;',
      'is not the word of one of several before the wait is over',
    ],
    [
      'the only node is not enough',
      'const needed = configured < 2 ? 1 : 2;',
      'const needed = 2;',
      'is what the only configured node calls final',
    ],
    [
      'two need not have the same block',
      'sharing(blocks, hash) >= needed',
      'blocks.length >= needed && hash !== null',
      'is none where the two have other blocks there',
    ],
    [
      'nobody is waited for',
      'own === undefined || !waited) continue;',
      'own === undefined) continue;',
      'is not the word of one of several before the wait is over',
    ],
    [
      'it waits for ever',
      'own === undefined || !waited) continue;',
      'own === undefined || waited || !waited) continue;',
      'is the word of one node alone when all others were silent for the wait',
    ],
    [
      'one is believed though another has got so far',
      'if (others.every(({ latest }) => latest < height)) return',
      'return',
      'is never the word of one alone where another has got so far',
    ],
    [
      'what was not read is final',
      'votes.map(({ finalized }) => Math.min(finalized, upTo))',
      'votes.map(({ finalized }) => finalized + 0 * upTo)',
      'is none above what was read',
    ],
    [
      'who made it up is believed',
      'const trusted = votes.filter(({ host }) => !distrusted.includes(host));',
      'const trusted = votes;',
      'is not that of a node which calls final what two others have not reached',
    ],
  ]),
  ...planted(`${agreement}/final-block.ts`, `${tests}/agreement/final-block.test.ts`, [
    [
      'the only node stops nothing',
      "if (configured < 2) return 'replaced';",
      '',
      'is replaced where one node is configured',
    ],
    [
      'who has our block does not count',
      "if (ours >= 1) return 'stands';",
      '',
      'stands while one node has it',
    ],
    [
      'two are not enough',
      "if (other >= 2) return 'replaced';",
      '',
      'is replaced when two have the same other one',
    ],
    [
      'one is enough at once',
      "return waited && other === 1 ? 'replaced alone'",
      "return other === 1 ? 'replaced alone'",
      'waits until then',
    ],
    [
      'it waits for ever',
      "return waited && other === 1 ? 'replaced alone' : 'wait';",
      "return 'wait';",
      'is replaced by the word of one when all others were silent for the wait',
    ],
    [
      'silence replaces it',
      "return waited && other === 1 ? 'replaced alone'",
      "return waited ? 'replaced alone'",
      'waits while nobody says anything',
    ],
  ]),
  ...planted(`${agreement}/final-block.ts`, `${tests}/reorg.test.ts`, [
    [
      'two with different blocks are two',
      'others.filter((same) => same.hash === one.hash).length',
      'others.filter((same) => same.hash !== null || one.hash !== null).length',
      'is not believed of one node whose second has another block yet',
    ],
    [
      'nodes that answer are as good as silent',
      'const waited = others.length === 1 && outages.haveLasted(silent);',
      'const waited = others.length === 1;',
      'is not believed of one node whose second is down',
    ],
    [
      'who has another block than two is not distrusted',
      'for (const { host } of others)',
      'for (const { host } of others.slice(0, 0))',
      'is not believed of one node while another still has the block that was final',
    ],
  ]),
  ...planted(`${agreement}/head.ts`, `${tests}/agreement/head.test.ts`, [
    [
      'a head of the only node needs a second one',
      "if (configured < 2 || near >= 1) return 'use';",
      "if (near >= 1) return 'use';",
      'is used where one node is configured',
    ],
    [
      'a node near it does not count',
      "if (configured < 2 || near >= 1) return 'use';",
      "if (configured < 2) return 'use';",
      'is used when another node is near it',
    ],
    [
      'others that are far from it do not count',
      "if (far >= 1) return caughtUp ? 'wait' : 'reject';",
      '',
      'is rejected when no other node is near it',
    ],
    [
      'nobody is waited for',
      "return waited ? 'use alone' : 'wait';",
      "return 'use alone';",
      'waits until then',
    ],
    [
      'it waits for ever',
      "return waited ? 'use alone' : 'wait';",
      "return 'wait';",
      'is used alone when all others were silent for the wait',
    ],
    [
      'a node far below is near',
      'other.height >= head.height - nearBlocks && ',
      '',
      'another node is near it by height and by time',
    ],
    [
      'a node of another time is near',
      ' && Math.abs(other.time - head.time) <= nearSeconds',
      '',
      'another node is near it by height and by time',
    ],
    [
      'a chain may grow as fast as it likes',
      '(2 * Math.max(0, elapsedMs)) / 1000 / blockSeconds;',
      '(200 * Math.max(0, elapsedMs)) / 1000 / blockSeconds;',
      'blocks every six seconds',
    ],
  ]),
  ...planted('src/watchers/finality.ts', 'test/watchers/reorg.test.ts', [
    [
      'a final block of another branch than the one that was read is an anchor',
      'const block = rises && !(await isBelowCursor(agreed, state, signal)) ? null : agreed;',
      'const block = agreed;',
      'a final block of the others is not where the chain forked',
    ],
  ]),
  ...planted(`${agreement}/head.ts`, 'test/watchers/chain-time.test.ts', [
    [
      'a first head is compared with the last reading alone',
      ' && (agreedOffset === null || isExpected(offset - agreedOffset));',
      ';',
      'every 5 minutes, takes no payment its money',
    ],
  ]),
  ...planted(`${agreement}/head.ts`, `${tests}/head-and-finalized.test.ts`, [
    [
      'no height is doubted',
      'if (!isHeightExplained(head, expectation)) return',
      'if (!isHeightExplained(head, expectation) && head.height < 0) return',
      '2,000 blocks too high, shown by one of two, is used by nobody',
    ],
    [
      'no time that is late is doubted',
      'if (offset - agreedOffset > lockSlackMs)',
      'if (offset - agreedOffset > 1e9)',
      'with a time half a minute fast, shown by one of three',
    ],
    [
      'the first head is believed',
      'const expected = isExpected(lateMs) && (agreedOffset === null || isExpected(offset - agreedOffset));',
      'const expected = lateMs !== null;',
      'with a time an hour fast, tells no time of a lock',
    ],
    [
      'nobody else is asked where a chain is begun',
      'if (near.length >= 2 || far.length === 0) return;',
      'if (near.length >= 0 || far.length === 0) return;',
      '2,000 blocks too high, shown by one of two, begins no chain',
    ],
    [
      'others are asked each time about a head that trails',
      "if (doubt.kind === 'trails' && trailing?.host === host && steady() - trailing.at < askedEveryMs)",
      "if (doubt.kind === 'trails' && trailing?.host === host && steady() < 0)",
      'asks all of three nodes once a minute',
    ],
  ]),
  ...planted(`${agreement}/ask.ts`, `${tests}/agreement/outages.test.ts`, [
    [
      'an outage does not end with an answer',
      '      outages.delete(host);\n',
      '',
      'waits anew once one of them has answered',
    ],
    [
      'what a node answered elsewhere meanwhile does not count',
      'known.answeredAt === answeredAt ||',
      'known.answeredAt !== answeredAt || known.answeredAt === answeredAt ||',
      'waits anew where one of them answered something else',
    ],
    [
      'the wait is over at once',
      'return began !== null && clock() - began >= waitMs;',
      'return began !== null;',
      'waits from when the last of the others fell silent',
    ],
    [
      'the wait is counted from when the first fell silent',
      'Math.max(...(found as number[]))',
      'Math.min(...(found as number[]))',
      'waits from when the last of the others fell silent',
    ],
  ]),
  ...planted(`${agreement}/head.ts`, `${tests}/agreement/one-liar.test.ts`, [
    [
      'another time of a block read is the same',
      'other.hash === hash && other.time === time',
      'other.hash === hash && time !== null',
      'for a block up to which is read after an outage, by one of two',
    ],
  ]),
  ...planted('src/watchers/head.ts', `${tests}/agreement/one-liar.test.ts`, [
    [
      'the time of the block read last is believed',
      'if (head.height - to.height <= 1 || !(await isAnyOverBy(db, chain.network, time))) return time;',
      'if (head.height >= to.height || !(await isAnyOverBy(db, chain.network, time))) return time;',
      'for a block up to which is read after an outage, by one of three',
    ],
    [
      'a block read may be later than the head',
      'time = Math.min(time, head.time);',
      '',
      'of 2 that was taken while nothing ended by it ends nothing once an outage has lasted longer',
    ],
    [
      'a time that nobody else gives is taken',
      'if (time <= before.cursor.time || (await agreement.checkTime(host, to, signal))) return time;',
      'if (time !== before.cursor.time || (await agreement.checkTime(host, to, signal))) return time;',
      'for a block up to which is read after an outage, by one of three',
    ],
  ]),
  ...planted('src/watchers/head.ts', `${tests}/head-and-finalized.test.ts`, [
    [
      'a head that was not agreed on tells the time',
      "news: use === 'all' ? news : null, readTime",
      'news, readTime',
      'with a time an hour fast, tells no time of a lock',
    ],
  ]),
  ...planted('src/core/chain-time.ts', 'test/core/chain-time.test.ts', [
    [
      'what passed since a head was shown does not count',
      'head.time * 1000 + Math.max(0, now - shownAt)',
      'head.time * 1000 + 0 * Math.max(0, now - shownAt)',
      'is that of the head, and what has passed since it was first shown',
    ],
    [
      'a head that reaches us late sets the time back',
      'const later = head.time * 1000 >= chainTimeAt(known, at);',
      'const later = known !== null;',
      'is told not by one that reaches us late',
    ],
    [
      'a head never gives way',
      'if (later || at - known.shownAt > referenceMs)',
      'if (later)',
      'is told after ten minutes by whatever there is',
    ],
    [
      'the first head after a pause is one like any other',
      "if (known === null || news === 'first')",
      'if (known === null)',
      'is told by the first one after a pause, however late',
    ],
    [
      'a chain that stands still tells what our clock is',
      "const watchedSince = news === 'appeared' ? (known.watchedSince ?? at) : null;",
      'const watchedSince = known.watchedSince ?? at;',
      'is watched from the first block that appears, and anew where none does',
    ],
    [
      'a clock is judged at once',
      'if (watchedSince === null || now - watchedSince < judgedAfterMs) return null;',
      'if (watchedSince === null) return null;',
      'is judged after a minute of blocks that appeared',
    ],
    [
      'a clock that is behind is right',
      'Math.abs(skewMs) <= limitMs',
      'skewMs <= limitMs',
      'is wrong when it is further off than allowed, in either direction',
    ],
  ]),
  ...planted('src/payments/new-payment.ts', `${tests}/chain-time.test.ts`, [
    [
      'the time limit is that of our clock alone',
      'Math.max(expiresAt, lockChainTime + lifetimeSeconds * 1000)',
      'expiresAt + 0 * (lockChainTime + lifetimeSeconds)',
      '(e) our clock 40 minutes slow',
    ],
  ]),
  ...planted('src/payments/decide.ts', 'test/payments/decide.test.ts', [
    [
      'a payment ends by our clock alone',
      'now > payment.expiresAt && chain.cursor.time > payment.blockTimeLimit',
      'now > payment.expiresAt',
      'does not expire while the chain was not read past its time',
    ],
    [
      "a payment ends by the chain's time alone",
      'now > payment.expiresAt && chain.cursor.time > payment.blockTimeLimit',
      'chain.cursor.time > payment.blockTimeLimit',
      'does not expire by the chain alone while our clock is not past its time',
    ],
  ]),
  ...planted('src/payments/match.ts', `${tests}/chain-time.test.ts`, [
    [
      'what was mined before the lock pays',
      'return transfer.block.time * 1000 < payment.lockChainTime - lockSlackMs;',
      'return transfer.block.time * 1000 < 0 * payment.lockChainTime;',
      '(a) money of a cancelled payment',
    ],
    [
      'what was mined half a minute before the lock pays',
      'payment.lockChainTime - lockSlackMs',
      'payment.lockChainTime - 10 * lockSlackMs',
      '(d) a node that trails by 30 seconds',
    ],
  ]),
  // What random histories once did not notice.
  ...planted('src/watchers/evm/validate.ts', `${tests}/evm/validate.test.ts`, [
    [
      'a latest block below one seen before is an answer',
      'if (top.height < seen) throw',
      'if (top.height < 0) throw',
      'a latest block below the one to read to',
    ],
    [
      'a finalized block below one seen before is an answer',
      'if (finalized !== null && finalized.height < (expected.finalizedHeight ?? 0)) {',
      'if (finalized !== null && finalized.height < 0) {',
      'a finalized block below one seen before',
    ],
    [
      'logs may be of another block than the headers show',
      'if (known !== undefined && known !== log.blockHash)',
      'if (known === log.blockHash && log.height < 0)',
      'of another block at the height read to',
    ],
    [
      'logs may be of two blocks at one height',
      'if (log.blockHash !== blockHash) throw',
      'if (log.blockHash !== blockHash && log.height < 0) throw',
      'of two blocks at one height',
    ],
    [
      'an answer may show two blocks at one height',
      'if (known !== undefined && known !== hash)',
      'if (known !== undefined && known === null)',
      'two blocks at one height',
    ],
  ]),
  ...planted('src/watchers/evm/logs.ts', `${tests}/evm/validate.test.ts`, [
    [
      'a log that was removed counts',
      'if (!isRecord(value) || (value.removed !== undefined && value.removed !== false)) return null;',
      'if (!isRecord(value)) return null;',
      'that were removed',
    ],
  ]),
  ...planted('src/watchers/evm/poll.ts', `${tests}/evm/source.test.ts`, [
    [
      'the time of a block is guessed',
      'blocks.set(height, refOf(header));',
      'blocks.set(height, { ...refOf(header), time: header.time + 1 });',
      'finds what is paid to watched addresses, in chain order, with block and amount',
    ],
  ]),
  ...planted('src/watchers/reorg.ts', `${tests}/reorg.test.ts`, [
    [
      'deposits stay after a reorg',
      'const touched = await orphanBlocks(trx, state.network, fork.disconnected);',
      'const touched = await orphanBlocks(trx, state.network, fork.disconnected.slice(0, 0));',
      'before the confirmations makes a deposit unseen again',
    ],
    [
      'a fork below a final block is one like any other',
      'if (finalizedHeight === null || block.height > finalizedHeight) return;',
      'if (finalizedHeight === null || block.height >= 0) return;',
      'stops, loudly, persistently, and takes no payments',
    ],
  ]),
];
