import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { refuseMethod } from './problem.ts';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
};

/** Answers with a file, read anew each time so that an edit shows on reload. */
export async function serveFile(file: string, status: number, method: string): Promise<Response> {
  if (method !== 'GET' && method !== 'HEAD') return refuseMethod('GET, HEAD');
  const { size } = await stat(file);
  return new Response(ReadableStream.from<Uint8Array>(createReadStream(file)), {
    status,
    headers: {
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'content-length': String(size),
      'cache-control': 'public, max-age=0, must-revalidate',
    },
  });
}
