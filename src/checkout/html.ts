import { html as template } from 'htm/preact';
import type { ComponentChildren, VNode } from 'preact';

/** What a page is made of. Text that stands in it is escaped. */
export type Html = VNode;

/** What may stand in a page: nothing, text, or elements. */
export type Content = ComponentChildren;

/** HTML as a tagged template: no JSX, so that it runs as it is written. */
export const html: (strings: TemplateStringsArray, ...values: unknown[]) => Html = template;
