import { ar } from './ar.ts';
import { en } from './en.ts';
import { es } from './es.ts';
import { fr } from './fr.ts';
import { ht } from './ht.ts';
import { id } from './id.ts';
import type { Messages } from './messages.ts';
import { ptBR } from './pt-br.ts';
import { ru } from './ru.ts';
import { tr } from './tr.ts';
import { vi } from './vi.ts';
import { zhCN } from './zh-cn.ts';

/** Of the pages that payers see, by their tags (BCP 47). */
export const languages = {
  en,
  'zh-CN': zhCN,
  es,
  'pt-BR': ptBR,
  fr,
  ht,
  ru,
  tr,
  vi,
  id,
  ar,
} satisfies Record<string, Messages>;

export type Language = keyof typeof languages;

export const languageTags = Object.keys(languages) as Language[];

export function messagesIn(language: Language): Messages {
  return languages[language];
}

/** The language that a tag names: `zh-Hant-TW` and `pt` also find what there is of them. Null when there is none. */
export function parseLanguage(tag: string): Language | null {
  if (tag.length > longestTag) return null;
  const parts = tag.toLowerCase().replaceAll('_', '-').split('-');
  const same = (language: Language, text: string) => language.toLowerCase() === text;
  const exact = languageTags.find((language) => same(language, parts.join('-')));
  return exact ?? languageTags.find((language) => language.toLowerCase().split('-')[0] === parts[0]) ?? null;
}

const longestTag = 35;

/** What the payer asked for in the address, then what the shop said, then what the browser prefers; else English. */
export function chooseLanguage(wishes: {
  query: unknown;
  locale: string;
  acceptLanguage: string | undefined;
}): Language {
  const asked = typeof wishes.query === 'string' ? parseLanguage(wishes.query) : null;
  return asked ?? parseLanguage(wishes.locale) ?? preferred(wishes.acceptLanguage ?? '') ?? 'en';
}

/** Of `fr-CH, fr;q=0.9, en;q=0.8` (RFC 9110, 12.5.4) the first, by weight, that there is. */
function preferred(header: string): Language | null {
  const ranges = header
    .slice(0, longestHeader)
    .split(',')
    .map((range) => {
      const [tag = '', ...parameters] = range.split(';').map((part) => part.trim());
      const weight = parameters.find((one) => one.startsWith('q='))?.slice(2);
      return { language: parseLanguage(tag), weight: weight === undefined ? 1 : Number(weight) };
    })
    .filter(({ weight }) => weight > 0);
  return (
    ranges.toSorted((a, b) => b.weight - a.weight).find(({ language }) => language !== null)?.language ?? null
  );
}

const longestHeader = 500;
