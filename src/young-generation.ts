import { setFlagsFromString } from 'node:v8';

/*
 * Loading a program leaves much alive at once. From that V8 concludes that the space for new objects should grow to
 * its greatest size, and it keeps it for good: some 30 MB that the daemon never needs. So it may grow only afterwards,
 * when the work asks for it. V8 reads this flag whenever the space is full; 2 is its default.
 */

/** To be called before the program is loaded. */
export function holdYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** To be called when the program is ready for work. */
export function releaseYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}
