import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { copyCheckout, deploy, stage } from './deployment.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A staged checkout, and what the platform made of it. */
    deployment: { checkout: string; output: string };
  }
}

/** One deployment per run: test files serve it with settings of their own. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-deployed-'));
  const [checkout, output] = [join(folder, 'checkout'), join(folder, 'output')];
  const teardown = () => rm(folder, { recursive: true, force: true });
  try {
    await copyCheckout(checkout);
    await stage(checkout);
    await deploy(checkout, output);
    project.provide('deployment', { checkout, output });
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}
