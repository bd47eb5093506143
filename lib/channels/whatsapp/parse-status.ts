import type { JsonObject } from '../../json.ts';
import type { ReplyStatus } from '../../storage/storage.ts';
import { afterRefusal } from './errors.ts';
import { errorCodes, id, name } from './parse-fields.ts';

/** Meta's words. A voice note that was played was read. */
const STATUSES: ReadonlyMap<unknown, ReplyStatus['status']> = new Map([
  ['sent', 'sent'],
  ['delivered', 'delivered'],
  ['read', 'read'],
  ['played', 'read'],
  ['failed', 'failed'],
]);

/** What became of a reply, and whether the owner has to do something; a word for the log where it cannot be told. */
export function readStatus(
  status: JsonObject,
  account: string,
): { status: ReplyStatus; owner: boolean } | string {
  const externalId = id(status['id']);
  if (externalId === null) return 'no_status_id';
  const known = STATUSES.get(status['status']);
  if (known === undefined) return `status:${name(status['status'])}`;
  const own = status['biz_opaque_callback_data'];
  // an id of ours is a bigint
  const replyId = typeof own === 'string' && /^\d{1,18}$/.test(own) ? own : null;
  const read = { account, externalId, replyId, status: known };
  if (known !== 'failed') return { status: read, owner: false };
  const [code] = errorCodes(status['errors']);
  if (code === undefined) return { status: { ...read, error: 'no_code' }, owner: false };
  const { name: error, owner, retryMs } = afterRefusal(code);
  return { status: { ...read, error, ...(retryMs !== undefined && { retryMs }) }, owner };
}
