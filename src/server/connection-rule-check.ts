import { noUsers } from '../authentication/connections.js';
import { ConfigurationError } from '../errors.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { checkReason } from '../status.js';
import { type ConnectionRule, modelOf } from './connection-rule.js';

/** @throws ConfigurationError for a rule that could never do anything, or would fail each time */
export function checkConnectionRules(
  rules: readonly ConnectionRule[],
  { hasUsers, unitOfWork }: { readonly hasUsers: boolean; readonly unitOfWork: UnitOfWork },
): void {
  for (const rule of rules) {
    const { kind, options } = rule;
    if (kind === 'recheck' && !hasUsers) throw noUsers();
    if (!options.user && !options.session)
      throw fault(rule, 'says of nobody whose connections are meant.', 'Give user or session.');
    if (options.reason !== undefined) checkReason(options.reason);
    checkColumns(rule, unitOfWork);
  }
}

function checkColumns(rule: ConnectionRule, unitOfWork: UnitOfWork): void {
  const model = modelOf(rule);
  if (!model) return;
  const columns = unitOfWork.of(model).columnsOf(model);
  if (!columns) throw fault(rule, 'is no entity of the application.', 'Name one, or a Signal.');
  const changed: readonly string[] = rule.options.changed ?? [];
  const unknown = changed.find((name) => !columns.has(name));
  if (unknown === undefined) return;
  throw fault(
    rule,
    `waits for a change of "${unknown}", which is no column.`,
    `There are: ${[...columns].join(', ')}.`,
  );
}

function fault(rule: ConnectionRule, reason: string, remedy: string): ConfigurationError {
  const name = rule.kind === 'recheck' ? 'recheckOn' : 'closeOn';
  return new ConfigurationError({ class: name, member: modelOf(rule)?.name ?? 'signal', reason, remedy });
}
