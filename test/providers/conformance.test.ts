import { forhopp } from '../../src/providers/forhopp.ts';
import { fourpoch } from '../../src/providers/fourpoch.ts';
import { gatenoc } from '../../src/providers/gatenoc.ts';
import { describeDatabases } from '../support/databases.ts';
import { forhoppSubject, fourpochSubject, gatenocSubject } from '../support/providers/subjects.ts';
import { conformance } from './conformance.ts';

conformance(fourpochSubject, fourpoch);
// Whichever provider it is, the same statements run.
describeDatabases('providers', (openDb) => conformance(forhoppSubject, forhopp, { openDb }));
conformance(gatenocSubject, gatenoc);
