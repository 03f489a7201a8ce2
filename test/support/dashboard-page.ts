import type { Browser, Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { goodPassword } from './people.ts';

export const desktop = { viewport: { width: 1200, height: 800 } };
export const phone = { viewport: { width: 360, height: 740 } };

export type Window = { page: Page; faults: string[] };

/** A window, with all that the pages may not do written down. */
export async function openWindow(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = desktop,
): Promise<Window> {
  // As every browser that people use tells one; of the system here it would be none.
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults: string[] = [];
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|violates/i.test(message.text())) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    if (!/^(data:|http:\/\/127\.0\.0\.1)/.test(request.url())) faults.push(`asked ${request.url()}`);
  });
  return { page, faults };
}

export async function signIn({ url }: { url: string }, page: Page, name = 'ada'): Promise<void> {
  await page.goto(`${url}/dashboard/`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(goodPassword);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Home' }).waitFor();
}
