/**
 * Prints the bill of materials, what is installed together with depositd, in CycloneDX's format
 * (https://cyclonedx.org/docs/1.5/json/): `npm run sbom`.
 *
 * npm makes it of everything, tests' packages too; its own `--omit=dev` leaves out whatever these use as well, such as zod.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { productionPackages } from './production-packages.ts';

const root = join(import.meta.dirname, '..');

type Bill = {
  components: { name: string; version: string; 'bom-ref': string }[];
  dependencies: { ref: string; dependsOn?: string[] }[];
  metadata: { component: { 'bom-ref': string; name: string } };
};

const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string };
const made = execFileSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx'], {
  cwd: root,
  maxBuffer: 2 ** 26,
});
const bill = JSON.parse(made.toString()) as Bill;
// npm names it after the folder that it lies in.
bill.metadata.component.name = name;
const installed = new Set(productionPackages().map((one) => `${one.name}@${one.version}`));
const components = bill.components.filter((one) => installed.has(`${one.name}@${one.version}`));
const refs = new Set([bill.metadata.component, ...components].map((component) => component['bom-ref']));
const dependencies = bill.dependencies
  .filter(({ ref }) => refs.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((on) => refs.has(on)) }));
console.log(JSON.stringify({ ...bill, components, dependencies }, null, 2));
