import { example, exampleSubject } from '../support/providers/example.ts';
import { conformance } from './conformance.ts';

conformance(exampleSubject, example, { adapters: [example] });
