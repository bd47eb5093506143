import { describe, expect, it } from 'vitest';
import { toHtml } from '../../lib/search.ts';

const plain = (text: string) => ({ text, hit: false });
const hit = (text: string) => ({ text, hit: true });

describe('toHtml', () => {
  it('marks the hits', () => {
    expect(toHtml([plain('a '), hit('refund'), plain(' of 20 €')])).toBe(
      'a <mark>refund</mark> of 20 €',
    );
  });

  it('leaves nothing that a page would take for HTML, inside of a hit neither', () => {
    expect(toHtml([plain(`<img src="x" onerror='y'>&amp;`), hit('<b>')])).toBe(
      '&lt;img src=&quot;x&quot; onerror=&#39;y&#39;&gt;&amp;amp;<mark>&lt;b&gt;</mark>',
    );
  });

  it('of nothing is nothing', () => {
    expect(toHtml([])).toBe('');
  });
});
