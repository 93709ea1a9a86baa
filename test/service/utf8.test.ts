import { expect, it } from 'vitest';
import { declared, serve } from './harness.ts';

it('refuses events with invalid UTF-8 and accepts them once corrected', async () => {
  const service = await serve({ logLevel: 'silent' });
  const post = async (id: string, encoding: BufferEncoding) => {
    const body = Buffer.from(JSON.stringify({ ...declared(), id: '#' }).replace('#', id), encoding);
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${service.url}/v1/events`, { method: 'POST', headers, body });
    return { status: response.status, body: await response.json() };
  };
  for (const id of ['a\u00ff', 'a\u00fe'])
    expect(await post(id, 'latin1')).toMatchObject({ status: 400, body: { code: 'BAD_UTF8' } });
  for (const id of ['a\u00ff', 'a\u00fe'])
    expect(await post(id, 'utf8')).toMatchObject({ status: 202, body: { id, duplicate: false } });
});
