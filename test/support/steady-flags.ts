/*
 * Loaded into a daemon under test before anything else: V8's flags stay what they were at the start. What V8 compiled before it takes
 * from a cache only under the same flags, and compiling all anew is a fifth of what a start costs. So the young generation is not held
 * here (src/young-generation.ts, which has a test of its own).
 */
import { syncBuiltinESMExports } from 'node:module';
import v8 from 'node:v8';

Object.assign(v8, { setFlagsFromString: () => {} });
syncBuiltinESMExports();
