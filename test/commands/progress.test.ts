import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { progressLine, showProgress } from '../../src/commands/progress.ts';

/** What a terminal, or a pipe, is sent. */
function stream(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const written: string[] = [];
  const writable = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  return {
    stream: Object.assign(writable, { isTTY }) as unknown as NodeJS.WriteStream,
    text: () => written.join(''),
  };
}

describe('progress', () => {
  test('is a bar as full as the work is done, with its numbers', () => {
    expect(progressLine('adding', 0, 1200)).toBe(`adding ${'░'.repeat(30)} 0 of 1,200`);
    expect(progressLine('adding', 600, 1200)).toBe(`adding ${'█'.repeat(15)}${'░'.repeat(15)} 600 of 1,200`);
    expect(progressLine('adding', 1200, 1200)).toBe(`adding ${'█'.repeat(30)} 1,200 of 1,200`);
    expect(progressLine('adding', 0, 0)).toBe(`adding ${'█'.repeat(30)} 0 of 0`);
  });

  test('of work longer than a second is shown on a terminal and cleared at its end', () => {
    const terminal = stream(true);
    let now = 0;
    const progress = showProgress('adding', terminal.stream, () => now);
    progress.update(1, 3);
    expect(terminal.text()).toBe('');
    now = 1_001;
    progress.update(2, 3);
    progress.end();
    expect(terminal.text()).toBe(`\r\u001b[K${progressLine('adding', 2, 3)}\r\u001b[K`);
  });

  test('is never sent into a pipe', () => {
    const pipe = stream(false);
    let now = 0;
    const progress = showProgress('adding', pipe.stream, () => now);
    now = 10_000;
    progress.update(1, 3);
    progress.end();
    expect(pipe.text()).toBe('');
  });
});
