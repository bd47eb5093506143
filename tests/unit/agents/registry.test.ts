import { describe, expect, it } from 'vitest';
import { agents, createRegistry, MANAGER } from '../../../lib/agents/registry.ts';
import { agentNamed, plainManager } from '../../support/turns.ts';

const quiet = () => {};

describe('createRegistry', () => {
  it('finds its agents and the manager by name, and nobody else', () => {
    const one = agentNamed('one', quiet);
    const registry = createRegistry([one], plainManager);
    expect(registry.find('one')).toBe(one);
    expect(registry.find(MANAGER)).toBe(plainManager);
    expect(registry.manager).toBe(plainManager);
    for (const name of ['two', 'human', '', 'constructor', '__proto__'])
      expect(registry.find(name)).toBeNull();
  });

  it('knows how long each of them holds', () => {
    const registry = createRegistry(
      [agentNamed('brief', quiet, { ttlSeconds: 60 }), agentNamed('plain', quiet)],
      plainManager,
    );
    expect(registry.ttlOf('brief', 500)).toBe(60);
    expect(registry.ttlOf('plain', 500)).toBe(500);
    expect(registry.ttlOf('elsewhere', 500)).toBe(500);
  });

  it.each(['manager', 'human', 'twice'])('refuses a second agent called %s at start', (key) => {
    const list = [agentNamed('twice', quiet), agentNamed(key, quiet)];
    expect(() => createRegistry(list, plainManager)).toThrow(`"${key}"`);
  });

  it('holds the built-in agents of the contract', () => {
    const registry = createRegistry(agents);
    for (const name of ['manager', 'scheduling', 'billing'])
      expect(registry.find(name)?.key).toBe(name);
    expect(registry.find('human')).toBeNull();
  });
});
