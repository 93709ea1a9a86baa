import { lineOf, type SourceFile } from './source-files.ts';

export const TEST_NAME_WORDS_MAX = 12;

/** Words that docs of this project never need, because a plainer word exists. */
const VAGUE = /\b(?:anew|for ever|nobody|somebody|everybody|whoever)\b/i;

/** Openings that make a clause the subject of a comment and so hide its topic. */
const CLAUSE_AS_SUBJECT = /^(?:What|Who|Whoever|Whether|Where|That|Such|Nobody|Somebody)\b/;

const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
const TEST_NAME =
  /\b(?:it|test)(?:\.\w+(?:\([^()]*\)|<[^()]*>\(\[[\s\S]*?\n {2,4}\]\))?)*\(\s*(['`])((?:\\.|(?!\1).)*)\1/g;

type Text = { readonly path: string; readonly line: number; readonly text: string };

/** Lists the comments of a file, one per block or line, without comment marks. */
function commentsOf({ path, text }: SourceFile): Text[] {
  return Array.from(text.matchAll(COMMENT))
    .filter(([token]) => token.startsWith('/'))
    .map((match) => ({ path, line: lineOf(text, match.index), text: contentOf(match[0]) }));
}

/** Lists the names of tests that are written as literals. */
function testNamesOf({ path, text }: SourceFile): Text[] {
  return Array.from(text.matchAll(TEST_NAME), (match) => ({
    path,
    line: lineOf(text, match.index),
    text: match[2] ?? '',
  }));
}

/** Describes each comment that uses a vague word or begins with a clause as its subject. */
export function unclearComments(file: SourceFile): string[] {
  return commentsOf(file)
    .filter(({ text }) => VAGUE.test(text) || CLAUSE_AS_SUBJECT.test(text))
    .map(({ path, line, text }) => `${path}:${line}: ${text}`);
}

/** Describes each test name that is too long or uses a vague word. */
export function unclearTestNames(file: SourceFile): string[] {
  return testNamesOf(file)
    .filter(({ text }) => VAGUE.test(text) || wordsOf(text) > TEST_NAME_WORDS_MAX)
    .map(({ path, line, text }) => `${path}:${line}: ${text}`);
}

/** Counts the words of a test name without its references in brackets, such as "(scenario 24)" or "(as root)". */
function wordsOf(name: string): number {
  return name
    .replace(/\([^)]*\)/g, '')
    .trim()
    .split(/\s+/).length;
}

function contentOf(token: string): string {
  return token
    .replace(/^\/\*+|\*+\/$|^\/\/+/g, '')
    .replace(/^\s*\* ?/gm, '')
    .replace(/\s+/g, ' ')
    .trim();
}
