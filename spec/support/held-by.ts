/**
 * Files of `src/` that run and have no spec of their own at the same path: the spec that holds each. Whoever changes the
 * file runs that spec; whoever writes a spec of its own takes the line out.
 */
export const heldBy: Readonly<Record<string, string>> = {
  'scope/action-context.ts': 'testing/connect.spec.ts',
  'scope/parameter-tokens.ts': 'scope/singletons.spec.ts',
  'scope/scope-disposal.ts': 'scope/scope-builder.spec.ts',
  'server/demultiplexer.ts': 'server/connection.spec.ts',
  'server/handshake.ts': 'server/connection.spec.ts',
  'server/hooks.ts': 'server/app.spec.ts',
  'server/http-server.ts': 'server/app.spec.ts',
  'server/providers.ts': 'server/services.spec.ts',
  'server/settled-within.ts': 'server/app.spec.ts',
  'server/upgrade.ts': 'server/app.spec.ts',
  'server/web-socket-transport.ts': 'server/app.spec.ts',
  'testing/inbox.ts': 'testing/connect.spec.ts',
  'testing/memory-transport.ts': 'testing/connect.spec.ts',
  'testing/test-channel.ts': 'testing/connect.spec.ts',
};
