import { expect } from 'chai';
import {
  ActionContext,
  AllowAny,
  ApiError,
  all,
  any,
  describePermission,
  not,
  type Permission,
  type PermissionExpression,
  Scope,
  Throttled,
  withOptions,
} from 'signalbox';
import { type DependencyContainer, container as globalContainer, injectable } from 'tsyringe';
import { type Answers, PermissionChecker } from '#signalbox/permissions/permission-checker.js';

class Yes implements Permission {
  canConnect() {
    return true;
  }
  hasPermission() {
    return true;
  }
  canReceive() {
    return true;
  }
}

class No implements Permission {
  async canConnect() {
    return false;
  }
  async hasPermission() {
    return false;
  }
  async canReceive() {
    return false;
  }
}

class Neutral implements Permission {}

class Owner implements Permission {
  hasObjectPermission(_context: ActionContext, object: object) {
    return 'owner' in object && object.owner === 'me';
  }
}

class Admin implements Permission {
  hasPermission({ scope }: ActionContext) {
    return scope.user === 'admin';
  }
}

class Blocked implements Permission {
  hasObjectPermission(_context: ActionContext, object: object) {
    return 'blocked' in object;
  }
}

@injectable()
class Limit implements Permission<{ most: number }> {
  constructor(private readonly scope: Scope) {}

  hasPermission(_context: ActionContext, { most }: { most: number }) {
    return Number(this.scope.query.get('count')) <= most;
  }
}

class Teapot extends ApiError {
  static override readonly status = 418;
}

class Throttling implements Permission {
  hasPermission(): boolean {
    throw new Throttled();
  }
}

class Throwing implements Permission {
  hasPermission(): boolean {
    throw new Teapot();
  }
}

class Forgetful implements Permission {
  canConnect(): boolean {
    return nothing();
  }
  hasPermission(): boolean {
    return nothing();
  }
  hasObjectPermission(): boolean {
    return nothing();
  }
  canReceive(): boolean {
    return nothing();
  }
}

/** What JavaScript gives a method that forgets to return, whatever its type says. */
function nothing(): boolean {
  return Reflect.get({}, 'nothing');
}

function scopeOf(user?: unknown, url = '/'): Scope {
  const container: DependencyContainer = globalContainer.createChildContainer();
  const scope = new Scope({ url, headers: {} }, {}, container);
  container.registerInstance(Scope, scope);
  scope.user = user;
  return scope;
}

function contextOf(scope: Scope): ActionContext {
  return new ActionContext({ scope, action: 'a', requestId: 1, kwargs: {}, signal: new AbortController().signal });
}

async function outcome(question: Promise<unknown>): Promise<unknown> {
  try {
    return (await question) ?? true;
  } catch (error) {
    return error instanceof ApiError ? error.status : error;
  }
}

describe('Permissions', () => {
  describe('let an action pass, or refuse it:', () => {
    const table: readonly (readonly [PermissionExpression, boolean])[] = [
      [Yes, true],
      [No, false],
      [Neutral, true],
      [not(Yes), false],
      [not(No), true],
      [not(Neutral), true],
      [not(not(Yes)), true],
      [not(not(No)), false],
      [all(), true],
      [all(Yes, Yes), true],
      [all(Yes, No), false],
      [all(No, Yes), false],
      [all(Yes, Neutral), true],
      [all(Neutral, No), false],
      [all(Neutral, Neutral), true],
      [any(), true],
      [any(Yes, No), true],
      [any(No, Yes), true],
      [any(No, No), false],
      [any(No, Neutral), false],
      [any(Neutral, Yes), true],
      [any(Neutral, Neutral), true],
      [not(all(Yes, No)), true],
      [not(all(Yes, Yes)), false],
      [not(all(Neutral, Yes)), false],
      [not(any(No, No)), true],
      [not(any(No, Yes)), false],
      [not(any(Neutral)), true],
      [all(any(No, Yes), not(No)), true],
      [all(any(No, Neutral), Yes), false],
    ];
    for (const [expression, passes] of table) {
      it(`${describePermission(expression)} ${passes ? 'passes' : 'refuses'}`, async () => {
        const checker = new PermissionChecker(expression);
        const scope = scopeOf('me');
        expect(await outcome(checker.checkAction(contextOf(scope)))).to.equal(passes || 403);
        expect(await outcome(checker.checkConnect(scope))).to.equal(passes || 403);
        const delivery = { scope, action: 'create', pk: 1, data: null } as const;
        expect(await checker.mayReceive(delivery, { context: contextOf(scope), answers: new Map() })).to.equal(passes);
      });
    }
  });

  it('refuse a connection with 401 where no user is logged in', async () => {
    expect(await outcome(new PermissionChecker(No).checkConnect(scopeOf()))).to.equal(401);
    expect(await outcome(new PermissionChecker(No).checkConnect(scopeOf(null)))).to.equal(401);
  });

  it('stop asking where the answer is known', async () => {
    const context = contextOf(scopeOf());
    await new PermissionChecker(any(Yes, Throwing)).checkAction(context);
    expect(await outcome(new PermissionChecker(all(No, Throwing)).checkAction(context))).to.equal(403);
  });

  it('may throw a refusal of their own', async () => {
    expect(await outcome(new PermissionChecker(any(No, Throwing)).checkAction(contextOf(scopeOf())))).to.equal(418);
  });

  it('are resolved from the container of the connection, and told their options', async () => {
    const checker = new PermissionChecker(withOptions(Limit, { most: 2 }));
    expect(await outcome(checker.checkAction(contextOf(scopeOf(undefined, '/?count=2'))))).to.equal(true);
    expect(await outcome(checker.checkAction(contextOf(scopeOf(undefined, '/?count=3'))))).to.equal(403);
  });

  it('refuse where a method forgets its answer', async () => {
    const checker = new PermissionChecker(Forgetful);
    const scope = scopeOf('me');
    expect(await outcome(checker.checkConnect(scope))).to.equal(403);
    expect(await outcome(checker.checkAction(contextOf(scope)))).to.equal(403);
    expect(await outcome(checker.checkObject(contextOf(scope), {}))).to.equal(404);
    const delivery = { scope, action: 'create', pk: 1, data: null } as const;
    expect(await checker.mayReceive(delivery, { context: contextOf(scope), answers: new Map() })).to.equal(false);
    expect(await outcome(new PermissionChecker(any(No, Forgetful)).checkAction(contextOf(scope)))).to.equal(403);
  });

  describe('let an object pass, or refuse it:', () => {
    const mine = { owner: 'me' };
    const theirs = { owner: 'them' };
    const table: readonly (readonly [PermissionExpression, string, object, boolean])[] = [
      [Owner, 'me', mine, true],
      [Owner, 'me', theirs, false],
      [Admin, 'admin', theirs, true],
      [Neutral, 'me', theirs, true],
      [any(Owner, Admin), 'me', mine, true],
      [any(Owner, Admin), 'me', theirs, false],
      [any(Owner, Admin), 'admin', theirs, true],
      [any(Admin, Owner), 'me', theirs, false],
      [all(Admin, Owner), 'admin', theirs, false],
      [all(Admin, Owner), 'admin', mine, true],
      [not(Owner), 'me', mine, false],
      [not(Owner), 'me', theirs, true],
      [not(Admin), 'me', theirs, true],
      [not(Admin), 'admin', theirs, false],
      [all(Yes, not(Blocked)), 'me', mine, true],
      [all(Yes, not(Blocked)), 'me', { blocked: true }, false],
      [any(all(Owner, Yes), all(Admin, Neutral)), 'me', theirs, false],
      [any(all(Owner, Yes), all(Admin, Neutral)), 'admin', theirs, true],
    ];
    for (const [expression, user, object, passes] of table) {
      const shown = `${describePermission(expression)} for ${user} at ${JSON.stringify(object)}`;
      it(`${shown} ${passes ? 'passes' : 'refuses'}`, async () => {
        const context = contextOf(scopeOf(user));
        const checker = new PermissionChecker(expression);
        expect(await outcome(checker.checkObject(context, object))).to.equal(passes || 404);
        const revealing = new PermissionChecker(expression, true);
        expect(await outcome(revealing.checkObject(context, object))).to.equal(passes || 403);
      });
    }
  });

  it('are asked for deliveries only where one of them has an opinion on them, or on actions', () => {
    expect(new PermissionChecker(all(AllowAny)).opinionsOn(scopeOf()).deliveries).to.equal(false);
    expect(new PermissionChecker(all()).opinionsOn(scopeOf()).deliveries).to.equal(false);
    expect(new PermissionChecker(all(Owner, not(Admin))).opinionsOn(scopeOf()).deliveries).to.equal(true);
    expect(new PermissionChecker(all(Owner, not(any(Admin, Yes)))).opinionsOn(scopeOf()).deliveries).to.equal(true);
    expect(new PermissionChecker(all(withOptions(Limit, { most: 1 }))).opinionsOn(scopeOf()).deliveries).to.equal(true);
  });

  it('are asked for deliveries also where the question is a field', () => {
    class Field implements Permission {
      canReceive = () => false;
    }
    expect(new PermissionChecker(all(Owner, Field)).opinionsOn(scopeOf()).deliveries).to.equal(true);
  });

  it('are asked for single events only where one of them has an opinion on these', () => {
    expect(new PermissionChecker(all(Owner, Admin)).opinionsOn(scopeOf()).events).to.equal(false);
    expect(new PermissionChecker(all(Owner, not(Yes))).opinionsOn(scopeOf()).events).to.equal(true);
  });

  it('are asked for an action once, whose answers count for its object', async () => {
    let count = 0;
    class Counting implements Permission {
      hasPermission() {
        count += 1;
        return true;
      }
    }
    const checker = new PermissionChecker(all(Counting, withOptions(Limit, { most: 2 }), Owner));
    const context = contextOf(scopeOf('me', '/?count=2'));
    const answers: Answers = new Map();
    await checker.checkAction(context, answers);
    expect(await outcome(checker.checkObject(context, { owner: 'me' }, answers))).to.equal(true);
    expect(await outcome(checker.checkObject(context, { owner: 'them' }, answers))).to.equal(404);
    expect(count).to.equal(1);
  });

  it('that are throttles have no opinion on deliveries', async () => {
    const request = contextOf(scopeOf());
    const delivery = new ActionContext({ ...request, scope: request.scope, isDelivery: true });
    for (const [expression, passes] of [
      [Throttling, true],
      [not(Throttling), true],
      [any(Throttling, No), false],
      [any(Throttling, Yes), true],
    ] as const) {
      expect(await outcome(new PermissionChecker(expression).checkAction(request))).to.equal(429);
      expect(await outcome(new PermissionChecker(expression).checkAction(delivery))).to.equal(passes || 403);
    }
  });

  it('can be printed', () => {
    expect(describePermission(all(Yes, any(not(No), withOptions(Limit, { most: 1 }))))).to.equal(
      'all(Yes, any(not(No), withOptions(Limit, {"most":1})))',
    );
  });
});
