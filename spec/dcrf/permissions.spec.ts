import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  all,
  any,
  Consumer,
  IsAuthenticated,
  NotAuthenticated,
  not,
  type Permission,
  PermissionDenied,
  type PermissionExpression,
  Permissions,
  path,
  type Scope,
  Throttled,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { failure, reply } from '../support/frames.js';
import { refusal } from '../support/refusal.js';
import { useServer } from '../support/serving.js';

let asked: string[] = [];

class Yes implements Permission {
  canConnect(_scope: Scope) {
    asked.push('Yes connect');
    return true;
  }
  hasPermission({ action }: ActionContext) {
    asked.push(`Yes ${action}`);
    return true;
  }
}

class AlsoYes implements Permission {
  async canConnect() {
    asked.push('AlsoYes connect');
    return true;
  }
  async hasPermission({ action }: ActionContext) {
    asked.push(`AlsoYes ${action}`);
    return true;
  }
}

/** As those of REST framework: one answer for connecting and for actions. */
class Never implements Permission {
  canConnect() {
    asked.push('Never connect');
    return false;
  }
  hasPermission() {
    return false;
  }
}

class No implements Permission {
  hasPermission({ action }: ActionContext) {
    asked.push(`No ${action}`);
    return false;
  }
}

class NoConnect implements Permission {
  canConnect() {
    return false;
  }
  hasPermission() {
    return true;
  }
}

class MayConnectOnly implements Permission {
  canConnect() {
    return true;
  }
}

class ForgetsToAnswer implements Permission {
  hasPermission(): boolean {
    return undefined as never;
  }
}

class MayActOnly implements Permission {
  hasPermission() {
    return true;
  }
}

class SyncYes implements Permission {
  hasPermission() {
    return true;
  }
}

class AsksToLogIn implements Permission {
  hasPermission(): boolean {
    throw new NotAuthenticated();
  }
}

class Throttles implements Permission {
  hasPermission(): boolean {
    throw new Throttled('Request was throttled. Expected available in 30 seconds.');
  }
}

class DeniesWithText implements Permission {
  hasPermission(): boolean {
    throw new PermissionDenied('custom text');
  }
}

const reading: ReadonlySet<string> = new Set(['list', 'retrieve']);

class IsAuthenticatedOrReads implements Permission {
  hasPermission({ scope, action }: ActionContext) {
    return reading.has(action) || scope.user !== undefined;
  }
}

@Consumer()
class GuardedActionConsumer extends ApiConsumer {
  @Action()
  async list() {
    return [];
  }

  @Action({ permissions: [IsAuthenticated] })
  async target() {
    return { response: true };
  }
}

/** A consumer under one expression. */
function under(...expressions: PermissionExpression[]) {
  @Consumer()
  @Permissions(...expressions)
  class GuardedConsumer extends ApiConsumer {
    @Action()
    async list() {
      return [];
    }

    @Action()
    async retrieve() {
      return { id: 1 };
    }

    @Action()
    async target() {
      return { response: true };
    }
  }
  return GuardedConsumer;
}

const denied = 'You do not have permission to perform this action.';
const alice = { user: { id: 1, username: 'alice' } };

describe('DCRF: permissions', () => {
  const serve = useServer();

  beforeEach(() => {
    asked = [];
  });

  async function open(...expressions: PermissionExpression[]): Promise<App> {
    return serve([path('/', under(...expressions))]).app;
  }

  async function statusUnder(expression: PermissionExpression, options = {}): Promise<number> {
    await using a = await connect(await open(expression), '/', options);
    return (await a.request('target')).response_status;
  }

  it('S050 asks one permission at the connect, and before each action', async () => {
    await using a = await connect(await open(Yes), '/');
    expect(asked).to.deep.equal(['Yes connect']);
    a.send({ action: 'target', request_id: 10 });
    expect(await a.receive()).to.deep.equal(reply('target', { response: true }, 10));
    expect(asked).to.deep.equal(['Yes connect', 'Yes target']);
  });

  it('S051 asks both of all(), from left to right, and nothing behind the first that refuses', async () => {
    await using a = await connect(await open(all(Yes, AlsoYes)), '/');
    a.send({ action: 'target', request_id: 10 });
    expect(await a.receive()).to.deep.equal(reply('target', { response: true }, 10));
    expect(asked).to.deep.equal(['Yes connect', 'AlsoYes connect', 'Yes target', 'AlsoYes target']);
    asked = [];
    expect(await refusal(await open(all(Yes, Never, AlsoYes)), '/')).to.include({ status: 401 });
    expect(asked).to.deep.equal(['Yes connect', 'Never connect']);
    asked = [];
    expect(await statusUnder(all(Yes, No, AlsoYes))).to.equal(403);
    expect(asked).to.deep.equal(['Yes connect', 'AlsoYes connect', 'Yes target', 'No target']);
  });

  it('S052 combines permissions of every kind, and asks each what it can answer', async () => {
    await using a = await connect(await open(all(MayActOnly, Yes)), '/');
    expect(asked).to.deep.equal(['Yes connect']);
    expect(await a.request('target', { request_id: 1 })).to.deep.equal(reply('target', { response: true }));
    expect(asked).to.deep.equal(['Yes connect', 'Yes target']);
    expect(await statusUnder(all(MayActOnly, No))).to.equal(403);
  });

  it('S054 is satisfied with one of any()', async () => {
    await using _ = await connect(await open(any(Never, Yes)), '/');
    expect(asked).to.deep.equal(['Never connect', 'Yes connect']);
    expect(await refusal(await open(any(Never, NoConnect)), '/')).to.include({ status: 401 });
  });

  it('S055 wants both of all()', async () => {
    await using _ = await connect(await open(all(Yes, AlsoYes)), '/');
    expect(asked).to.deep.equal(['Yes connect', 'AlsoYes connect']);
    expect(await refusal(await open(all(Yes, Never)), '/')).to.include({ status: 401 });
    expect(await refusal(await open(all(Never, Yes)), '/')).to.include({ status: 401 });
  });

  it('S056 takes not() of a permission that refuses for a yes, and of one that agrees for a no', async () => {
    await using _ = await connect(await open(not(Never)), '/');
    expect(asked).to.deep.equal(['Never connect']);
    expect(await refusal(await open(not(Yes)), '/')).to.include({ status: 401 });
  });

  it('S057 wants all of several expressions', async () => {
    await using _ = await connect(await open(any(Never, Yes), all(Yes, AlsoYes), not(Never)), '/');
    expect(asked).to.deep.equal(['Never', 'Yes', 'Yes', 'AlsoYes', 'Never'].map((name) => `${name} connect`));
    for (const expressions of [
      [any(Never, NoConnect), all(Yes, AlsoYes), not(Never)],
      [any(Never, Yes), all(Yes, Never), not(Never)],
      [any(Never, Yes), all(Yes, AlsoYes), not(Yes)],
    ])
      expect(await refusal(await open(...expressions), '/')).to.include({ status: 401 });
  });

  it('S059 answers 403 to a refused action, and the socket lives on', async () => {
    await using a = await connect(await open(No), '/');
    a.send({ action: 'list', request_id: 1 });
    expect(await a.receive()).to.deep.equal(failure('list', 403, 'permission_denied', denied));
    a.send({ action: 'target', pk: 1, request_id: 'r-2' });
    expect(await a.receive()).to.deep.equal(failure('target', 403, 'permission_denied', denied, 'r-2'));
  });

  it('S060 (differs) answers 405 to an unknown action also where permissions would refuse', async () => {
    await using a = await connect(await open(No), '/');
    expect(await a.request('no_such', { request_id: 1 })).to.deep.equal(
      failure('no_such', 405, 'action_not_found', 'Method "no_such" not allowed.'),
    );
  });

  it('S061 answers 405 to a frame without an action before it asks', async () => {
    await using a = await connect(await open(No), '/');
    a.send({ request_id: 1 });
    expect(await a.receive()).to.deep.equal(
      failure(null, 405, 'action_not_found', 'Unable to find action in message body.'),
    );
  });

  it('S062 answers with what a permission throws', async () => {
    for (const [permission, status, code, text] of [
      [AsksToLogIn, 401, 'not_authenticated', 'Authentication credentials were not provided.'],
      [Throttles, 429, 'throttled', 'Request was throttled. Expected available in 30 seconds.'],
      [DeniesWithText, 403, 'permission_denied', 'custom text'],
    ] as const) {
      await using a = await connect(await open(permission), '/');
      expect(await a.request('list', { request_id: 1 })).to.deep.equal(failure('list', status, code, text));
    }
  });

  it('has no opinion on a question that a permission does not answer, and takes a forgotten answer for a no', async () => {
    expect(await statusUnder(MayConnectOnly)).to.equal(200);
    expect(await statusUnder(not(MayConnectOnly)).catch((error: unknown) => error)).to.include({ status: 401 });
    expect(await statusUnder(ForgetsToAnswer)).to.equal(403);
  });

  it('S064 (differs) refuses the handshake with 401 where no user is logged in', async () => {
    expect(await refusal(await open(IsAuthenticated), '/')).to.include({ status: 401 });
  });

  it('S064 (differs) lets any client connect where the permission stands on the action, which answers 403', async () => {
    const { app } = serve([path('/', GuardedActionConsumer)]);
    await using a = await connect(app, '/');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', []));
    expect(await a.request('target', { request_id: 2 })).to.deep.equal(
      failure('target', 403, 'permission_denied', denied, 2),
    );
    await using b = await connect(app, '/', alice);
    expect(await b.request('target', { request_id: 3 })).to.deep.equal(reply('target', { response: true }, 3));
  });

  it('S065 lets a user through that is logged in', async () => {
    expect(await statusUnder(IsAuthenticated, alice)).to.equal(200);
  });

  it('S066 (differs) takes null for no user', async () => {
    expect(await refusal(await open(IsAuthenticated), '/', { user: null })).to.include({ status: 401 });
  });

  it('S067 (differs) lets not(IsAuthenticated) connect exactly the clients that are not logged in', async () => {
    expect(await statusUnder(not(IsAuthenticated))).to.equal(200);
    expect(await refusal(await open(not(IsAuthenticated)), '/', alice)).to.include({ status: 403 });
    expect(await statusUnder(not(No))).to.equal(200);
  });

  it('S069 turns each answer of a permission under not()', async () => {
    expect(await statusUnder(not(NoConnect))).to.equal(403);
  });

  it('S070 refuses all() where one refuses', async () => {
    expect(await statusUnder(all(Yes, No))).to.equal(403);
  });

  it('S071 passes any() where one says yes, asking for the connect apart from the action', async () => {
    expect(await statusUnder(any(Yes, No))).to.equal(200);
    expect(await statusUnder(any(No, Yes))).to.equal(200);
    expect(await statusUnder(any(NoConnect, Yes))).to.equal(200);
  });

  it('S072 refuses where one of several expressions refuses', async () => {
    await using a = await connect(await open(Yes, No), '/');
    expect(await a.request('target')).to.include({ response_status: 403 });
  });

  it('S074 (differs) takes a sync answer on its own and in any combination', async () => {
    expect(await statusUnder(SyncYes)).to.equal(200);
    expect(await statusUnder(all(SyncYes, AlsoYes))).to.equal(200);
    expect(await statusUnder(not(not(SyncYes)))).to.equal(200);
  });

  it('S075 (differs) asks IsAuthenticated at the handshake and at every action', async () => {
    const app = await open(IsAuthenticated);
    expect(await refusal(app, '/')).to.include({ status: 401 });
    await using b = await connect(app, '/', alice);
    expect(await b.request('target', { request_id: 1 })).to.deep.equal(reply('target', { response: true }));
  });

  it('S076 (differs) refuses every client where no middleware authenticates', async () => {
    expect(await refusal(await open(IsAuthenticated), '/')).to.include({ status: 401, code: 'not_authenticated' });
  });

  it('S077 (differs) lets a permission tell reading actions from others by their name', async () => {
    const app = await open(IsAuthenticatedOrReads);
    await using a = await connect(app, '/');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', []));
    expect(await a.request('retrieve', { request_id: 2 })).to.deep.equal(reply('retrieve', { id: 1 }, 2));
    expect(await a.request('target', { request_id: 3 })).to.deep.equal(
      failure('target', 403, 'permission_denied', denied, 3),
    );
    await using b = await connect(app, '/', alice);
    expect(await b.request('target', { request_id: 4 })).to.deep.equal(reply('target', { response: true }, 4));
  });

  it('S079 (differs) refuses the connect with one permission, and passes its not() and nested ones', async () => {
    expect(await refusal(await open(Never), '/')).to.include({ status: 401 });
    expect(await statusUnder(not(Never))).to.equal(200);
    expect(await statusUnder(any(all(Yes, AlsoYes), Never))).to.equal(200);
  });

  it('S080 (differs) tells a permission the action by its own name, and never asks for one that is not there', async () => {
    await using a = await connect(await open(Yes), '/');
    for (const action of ['list', 'target', 'unknown-thing']) await a.request(action);
    expect(asked).to.deep.equal(['Yes connect', 'Yes list', 'Yes target']);
  });

  it('S081 (differs) answers 400 to an action that is no string, whatever the permissions', async () => {
    await using a = await connect(await open(Yes), '/');
    a.send({ action: 5, request_id: 1 });
    expect(await a.receive()).to.deep.equal(failure(null, 400, 'parse_error', 'The action has to be a string.'));
    a.send({ action: null, request_id: 2 });
    expect(await a.receive()).to.include({ response_status: 405, request_id: 2 });
  });

  it('S082 (differs) combines permissions in any order', async () => {
    expect(await statusUnder(all(Yes, MayActOnly))).to.equal(200);
    expect(await statusUnder(all(MayActOnly, Yes))).to.equal(200);
  });

  it('S085 (differs) asks the permissions of the application where a consumer has none of its own', async () => {
    @Consumer()
    class PlainConsumer extends ApiConsumer {
      @Action()
      async list() {
        return [];
      }
    }
    const routes = [path('/', PlainConsumer), path('/open/', under(Yes))];
    const { app } = serve(routes, { permissions: [IsAuthenticated] });
    expect(await refusal(app, '/')).to.include({ status: 401 });
    await using a = await connect(app, '/', alice);
    expect(await a.request('list')).to.include({ response_status: 200 });
    await using b = await connect(app, '/open/');
    expect(await b.request('list')).to.include({ response_status: 200 });
    const { app: without } = serve([path('/', PlainConsumer)]);
    await using c = await connect(without, '/');
    expect(await c.request('list')).to.include({ response_status: 200 });
  });
});
