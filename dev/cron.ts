const everyMs = 60_000;

/**
 * Does in development what the platform does when deployed: calls the clean-up once a minute, over
 * HTTP, with the secret.
 *
 * @param onError told when a call fails; the next one comes all the same
 * @returns a function that ends it
 */
export function startCron(
  serverUrl: string,
  secret: string,
  onError: (error: unknown) => void,
): () => void {
  const call = async (): Promise<void> => {
    const answer = await fetch(`${serverUrl}/api/cron/cleanup`, {
      headers: { authorization: `Bearer ${secret}` },
      signal: AbortSignal.timeout(everyMs),
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`The clean-up answered ${answer.status}.`);
  };
  const timer = setInterval(() => void call().catch(onError), everyMs);
  return () => clearInterval(timer);
}
