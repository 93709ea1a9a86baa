import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/landfall.ts';

const PAGES = ['README.md', 'recordings/README.md', ...globSync('docs/*.md', { cwd: ROOT })].map((page) =>
  page.replaceAll('\\', '/'),
);
const textOf = (page: string) => readFileSync(join(ROOT, page), 'utf8');

/** Returns the anchors that GitHub gives the headings of a page. */
function anchorsOf(page: string): string[] {
  const prose = textOf(page).replace(/```[\s\S]*?```/g, '');
  return Array.from(prose.matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

function isBroken(page: string, link: string): boolean {
  const [path = '', anchor = ''] = link.split('#');
  const target = path === '' ? page : posix.join(posix.dirname(page), path);
  if (!existsSync(join(ROOT, target))) return true;
  return anchor !== '' && !anchorsOf(target).includes(anchor);
}

describe('the documentation', () => {
  it.each(PAGES)('contains no links to missing pages or headings: %s', (page) => {
    const links = Array.from(textOf(page).matchAll(/\]\(([^)\s]+)\)/g), ([, link = '']) => link);
    expect(links.filter((link) => !/^https?:/.test(link) && isBroken(page, link))).toEqual([]);
  });

  it.each(PAGES)('contains no names of missing source files: %s', (page) => {
    const files = Array.from(textOf(page).matchAll(/`([a-z]+\/[\w./-]+\.ts)`/g), ([, file = '']) => file);
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});
