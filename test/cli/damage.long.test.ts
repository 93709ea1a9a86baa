import { it } from 'vitest';
import { everyDamage, requireNoticed, smallLedger } from './damage.ts';

it('notices every damaged page without hanging', async () => {
  const { file, bytes } = await smallLedger();
  await requireNoticed(file, everyDamage(bytes));
});
