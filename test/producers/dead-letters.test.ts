import { expect, it } from 'vitest';
import { deadLettersOf } from '../../producers/dead-letters.ts';
import { entryOfInput, entryOfMalformed, entryOfTimer } from '../support/entries.ts';

const refusal = { code: 'X', message: 'm', remedy: 'r' };

it('makes one dead letter per refused input, with its original content', () => {
  const letters = deadLettersOf([
    entryOfInput('fine'),
    entryOfMalformed('bad', 'half a li'),
    entryOfInput('refused', { refusal }),
    entryOfTimer('m-1', { refusal }),
  ]);
  expect(letters).toMatchObject([
    { code: 'BAD_EVENT', stream: 's', offset: 1, text: 'half a li' },
    { code: 'X', stream: null, offset: null },
  ]);
  expect(JSON.parse(letters[1]?.text ?? '')).toMatchObject({ id: 'refused', data: { content: 'refused' } });
});
