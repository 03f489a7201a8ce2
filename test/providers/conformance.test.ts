import { forhopp } from '../../src/providers/forhopp.ts';
import { fourpoch } from '../../src/providers/fourpoch.ts';
import { gatenoc } from '../../src/providers/gatenoc.ts';
import { forhoppSubject, fourpochSubject, gatenocSubject } from '../support/providers/subjects.ts';
import { conformance } from './conformance.ts';

conformance(fourpochSubject, fourpoch);
conformance(forhoppSubject, forhopp);
conformance(gatenocSubject, gatenoc);
