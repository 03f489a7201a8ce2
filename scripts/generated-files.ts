import { apiDocuments } from './api-documents.ts';
import { apiPage } from './api-page.ts';
import { configurationPage } from './configuration-page.ts';
import { configJsonSchema } from './json-schema.ts';

/** The content of each file that is made from the source, by its path in the project. A test compares them. */
export async function generatedFiles(): Promise<Record<string, string>> {
  const schema = configJsonSchema();
  return {
    'config.schema.json': `${JSON.stringify(schema, null, 2)}\n`,
    'docs/configuration.md': configurationPage(schema),
    'docs/api.md': apiPage(await apiDocuments()),
  };
}
