import type { EntityManager } from '@mikro-orm/core';
import type { Logger } from '../logger.js';
import { clientOf } from '../orm/row-reader.js';
import { runStatement } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';

export async function prepareLog(em: EntityManager, _settings: ChangeLogSettings, _logger: Logger): Promise<void> {
  await (em.getConnection('write') as never as { ensureConnection(): Promise<void> }).ensureConnection();
  for (const text of [
    'create schema if not exists signalbox',
    'create unlogged table if not exists signalbox.log (id bigint generated always as identity, xid xid8 not null default pg_current_xact_id(), entries text not null)',
  ])
    await runStatement(clientOf(em), { text }, []);
}
