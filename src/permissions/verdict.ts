import type { AnyPermission, PermissionClass, PermissionExpression } from './permission.js';

/** `neutral`: nobody asked had an opinion. */
export type Verdict = 'granted' | 'refused' | 'neutral';

/** One question put to one permission; undefined where the permission has no opinion. */
export type Question = (
  permission: AnyPermission,
  options: unknown,
) => boolean | undefined | Promise<boolean | undefined>;

export type ResolvePermission = (permission: PermissionClass) => AnyPermission;

/** Puts a question to every permission that the answer depends on. */
export async function ask(
  expression: PermissionExpression,
  question: Question,
  resolve: ResolvePermission,
): Promise<Verdict> {
  if (typeof expression === 'function') return opinionOf(await question(resolve(expression), undefined));
  switch (expression.kind) {
    case 'with':
      return opinionOf(await question(resolve(expression.permission), expression.options));
    case 'not':
      return opposite(await ask(expression.operand, question, resolve));
    case 'all':
      return combine(expression.operands, 'refused', question, resolve);
    case 'any':
      return combine(expression.operands, 'granted', question, resolve);
  }
}

/** The first decisive verdict, else the other opinion if there is one, else none. */
async function combine(
  operands: readonly PermissionExpression[],
  decisive: 'granted' | 'refused',
  question: Question,
  resolve: ResolvePermission,
): Promise<Verdict> {
  let verdict: Verdict = 'neutral';
  for (const operand of operands) {
    const opinion = await ask(operand, question, resolve);
    if (opinion === decisive) return decisive;
    if (opinion !== 'neutral') verdict = opinion;
  }
  return verdict;
}

function opinionOf(answer: boolean | undefined): Verdict {
  if (answer === undefined) return 'neutral';
  return answer ? 'granted' : 'refused';
}

function opposite(verdict: Verdict): Verdict {
  if (verdict === 'neutral') return verdict;
  return verdict === 'granted' ? 'refused' : 'granted';
}
