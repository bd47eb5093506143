import type { Access } from '../../lib/http/operations.ts';
import { documented } from './document.ts';

const WHO: Record<Access, string> = {
  device: 'an API key, for any device; a device token, for its own',
  operator: 'an API key',
  newcomer: 'anybody, so many times a minute; a device token, to be renewed',
  public: 'anybody',
  signature: 'Meta, by its signature or the verify token',
  cron: '`CRON_SECRET`',
};

/** Who may call what, as a Markdown table; by it a person can see what the wrapper does. */
export function accessTable(): string {
  const rows = [
    ['operation', 'who may call'],
    ...documented().map(({ name, access }) => [`\`${name}\``, WHO[access]]),
  ];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], fill = ' ') =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width, fill)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(['', ''], '-'), ...body.map((row) => line(row))].join('\n');
}
