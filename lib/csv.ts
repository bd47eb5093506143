/** What a spreadsheet takes for the beginning of a formula, also behind blanks and in full width (OWASP, "CSV Injection"). */
const FORMULA = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/;

/**
 * A record of a CSV file, RFC 4180. A cell that a spreadsheet would run as a formula gets an apostrophe before it and
 * is shown as the text it is.
 */
export function csvRecord(cells: readonly string[]): string {
  return `${cells.map(toCell).join(',')}\r\n`;
}

function toCell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
