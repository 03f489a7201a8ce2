import { describe, expect, test } from 'vitest';
import { accentFault, accentOnDark, contrast, parseAccent } from '../../src/checkout/accent.ts';
import { chooseLanguage, languageTags, parseLanguage } from '../../src/checkout/languages/languages.ts';

describe('the language of a page', () => {
  const browser = 'fr-CH, fr;q=0.9, en;q=0.8';

  test('is what the payer asked for, else what the shop said, else what the browser prefers, else English', () => {
    const of = (query: unknown, locale: string, acceptLanguage?: string) =>
      chooseLanguage({ query, locale, acceptLanguage });
    expect(of('tr', 'ru', browser)).toBe('tr');
    expect(of(undefined, 'ru', browser)).toBe('ru');
    expect(of(undefined, '', browser)).toBe('fr');
    expect(of(undefined, '', 'en;q=0.3, ar;q=0.9')).toBe('ar');
    expect(of(undefined, '', 'xx, vi;q=0')).toBe('en');
    expect(of(undefined, '')).toBe('en');
  });

  test.each([
    ['zh-TW', 'zh-CN'],
    ['pt', 'pt-BR'],
    ['pt_BR', 'pt-BR'],
    ['HT', 'ht'],
  ])('%s finds %s, the nearest there is', (tag, language) => expect(parseLanguage(tag)).toBe(language));

  test.each(['', 'xx', '../en', 'e', '<b>', 'x'.repeat(10_000), '__proto__'])('%j is none', (tag) => {
    expect(parseLanguage(tag)).toBeNull();
    expect(languageTags).toContain(chooseLanguage({ query: tag, locale: tag, acceptLanguage: tag }));
  });
});

describe("a merchant's colour", () => {
  test('is taken where white text on it can be read', () => {
    expect(parseAccent('#1F57C3')).toBe('1f57c3');
    expect(accentFault('1f57c3')).toBeNull();
    expect(accentFault('ffd400')).toMatch(/1\.4 to 1/);
  });

  test.each(['', '#fff', 'red', '#12345g', '1234567', 'url(x)'])('%j is none', (text) => {
    expect(parseAccent(text)).toBeNull();
  });

  test('is made lighter on a dark page until it can be seen', () => {
    for (const accent of ['000000', '0b3d91', '7a0019', '1f57c3']) {
      expect(contrast(accentOnDark(accent), '16181d')).toBeGreaterThanOrEqual(4.5);
    }
  });
});
