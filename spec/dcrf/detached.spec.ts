import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  ConfigurationError,
  Consumer,
  Detached,
  type Permission,
  Permissions,
  path,
  Throttled,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { within } from '../support/deadline.js';
import { failure, reply } from '../support/frames.js';
import { gate, useServer } from '../support/serving.js';

class Tagged {
  @IsString()
  tag!: string;
}

let told: string[] = [];
let begun = gate();
let open = gate();

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

class MayNotExport implements Permission {
  hasPermission({ action }: ActionContext) {
    return action !== 'forbidden_detached';
  }
}

@Consumer()
@Permissions(MayNotExport)
class CustomConsumer extends ApiConsumer {
  @Action()
  async startDetachedMethod() {
    await this.wait(1);
    return 'started';
  }

  @Action()
  async startAndFail() {
    await this.wait(2);
    throw new Throttled();
  }

  @Action()
  async startFailing() {
    await this.fail();
  }

  @Action()
  async startSleeping() {
    await this.sleep();
    await this.sleep();
    await this.sleep();
    return { pk: 2 };
  }

  @Action()
  async startStubborn() {
    await this.stubborn();
  }

  @Action({ detached: true })
  async slowDetached({ tag }: Tagged, { signal }: ActionContext) {
    told.push(`begun ${tag}`);
    if (told.length === 3) begun.resolve();
    await Promise.race([open.promise, aborted(signal)]);
    told.push(`${signal.aborted ? 'aborted' : 'finished'} ${tag}`);
    return { tag };
  }

  @Action({ detached: true })
  async apiErrorDetached() {
    await open.promise;
    throw new Throttled();
  }

  @Action({ detached: true })
  async boomDetached() {
    throw new Error('A secret.');
  }

  @Action({ detached: true })
  async forbiddenDetached() {
    told.push('forbidden');
  }

  @Action()
  async slowPlain({ signal }: ActionContext) {
    signal.addEventListener('abort', () => told.push(`aborted: ${signal.reason.name}`));
    begun.resolve();
    await open.promise;
    told.push('finished plain');
  }

  @Action()
  async echo({ kwargs }: ActionContext) {
    return kwargs;
  }

  protected override async onDisconnect() {
    told.push('disconnected');
  }

  @Detached()
  protected async wait(waited: number) {
    this.sendJson({ waited });
  }

  @Detached()
  protected async fail() {
    throw new Error('A secret.');
  }

  @Detached()
  protected async sleep() {
    const { signal } = this;
    told.push('sleeps');
    if (told.length === 3) begun.resolve();
    await aborted(signal);
    await nextTurn();
    told.push(`aborted: ${signal.reason.name}`);
    signal.throwIfAborted();
  }

  @Detached()
  protected async stubborn() {
    await aborted(this.signal);
    await Promise.resolve();
    throw new Error('Failed while it ended.');
  }
}

describe('DCRF: detached actions and methods, cancellation', () => {
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;

  beforeEach(async () => {
    told = [];
    begun = gate();
    open = gate();
    ({ app, logger } = serve([path('/', CustomConsumer)]));
  });

  it('S094 (differs) runs a detached method behind the action that started it', async () => {
    await using a = await connect(app, '/');
    a.send({ action: 'start_detached_method', request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('start_detached_method', 'started'));
    expect(await a.receive()).to.deep.equal({ waited: 1 });
  });

  it('S094 (differs) does not run the detached method of an action that failed', async () => {
    await using a = await connect(app, '/');
    expect(await a.request('start_and_fail')).to.include({ response_status: 429 });
    await a.request('echo');
    await a.expectSilence();
  });

  it('S095 aborts each detached method once at the disconnect, and waits for it', async () => {
    const a = await connect(app, '/');
    expect((await a.request('start_sleeping')).data).to.deep.equal({ pk: 2 });
    await begun.promise;
    a.close();
    await within(a.ended, 'The end of the connection');
    expect(told.filter((fact) => fact.startsWith('aborted'))).to.deep.equal([
      'aborted: Disconnected',
      'aborted: Disconnected',
      'aborted: Disconnected',
    ]);
    expect(logger.entries).to.deep.equal([]);
  });

  it('S095 aborts them also when the server closes', async () => {
    const a = await connect(app, '/');
    await a.request('start_sleeping');
    await begun.promise;
    await within(app.close(), 'The end of the application');
    expect(told).to.include('aborted: ServerClosing');
  });

  it('S096 aborts a running detached action at the disconnect', async () => {
    const b = await connect(app, '/');
    b.send({ action: 'slow_detached', tag: 't1', request_id: 1 });
    b.send({ action: 'echo', request_id: 2 });
    await b.receive();
    b.close();
    await within(b.ended, 'The end of the connection');
    expect(told).to.deep.equal(['begun t1', 'aborted t1', 'disconnected']);
  });

  it('S097 (differs) aborts every one of three detached actions', async () => {
    const b = await connect(app, '/');
    for (const tag of ['t1', 't2', 't3']) b.send({ action: 'slow_detached', tag, request_id: tag });
    await begun.promise;
    b.close();
    await within(b.ended, 'The end of the connection');
    expect(told.slice(3).sort()).to.deep.equal(['aborted t1', 'aborted t2', 'aborted t3', 'disconnected']);
  });

  it('S099 delays no other request with a detached action', async () => {
    await using a = await connect(app, '/');
    a.send({ action: 'slow_detached', tag: 'one', request_id: 1 });
    a.send({ action: 'echo', request_id: 2 });
    expect(await a.receive()).to.deep.equal(reply('echo', {}, 2));
    open.resolve();
    expect(await a.receive()).to.deep.equal(reply('slow_detached', { tag: 'one' }));
    expect(await a.request('cancel', { target: 1 })).to.include({ response_status: 404 });
  });

  it('S100 answers an API error of a detached action behind the others', async () => {
    await using a = await connect(app, '/');
    a.send({ action: 'api_error_detached', request_id: 1 });
    a.send({ action: 'echo', pk: 3, request_id: 2 });
    expect(await a.receive()).to.deep.equal(reply('echo', { pk: 3 }, 2));
    open.resolve();
    expect(await a.receive()).to.deep.equal(failure('api_error_detached', 429, 'throttled', 'Request was throttled.'));
  });

  it('S101 answers an API error of a detached action like any other', async () => {
    open.resolve();
    await using a = await connect(app, '/');
    a.send({ action: 'api_error_detached', request_id: 1 });
    expect(await a.receive()).to.deep.equal(failure('api_error_detached', 429, 'throttled', 'Request was throttled.'));
  });

  it('S102 (differs) answers 500 to any other error of a detached action, and logs it once', async () => {
    await using a = await connect(app, '/');
    a.send({ action: 'boom_detached', request_id: 1 });
    expect(await a.receive()).to.include({ response_status: 500, request_id: 1, code: 'server_error' });
    expect(logger.at('error')).to.have.length(1);
    expect(await a.request('echo', { request_id: 2 })).to.deep.equal(reply('echo', {}, 2));
  });

  it('S102 (differs) logs an error of a detached method, and the socket lives on', async () => {
    await using a = await connect(app, '/');
    await a.request('start_failing');
    expect(await a.request('echo', { request_id: 2 })).to.deep.equal(reply('echo', {}, 2));
    expect(logger.at('error').map(({ message, fields }) => [message, fields['member']])).to.deep.equal([
      ['A detached method failed.', 'fail'],
    ]);
  });

  it('S102 (differs) logs an error of a detached method that ends, unless it is that of its end', async () => {
    const a = await connect(app, '/');
    await a.request('start_stubborn');
    a.close();
    await within(a.ended, 'The end of the connection');
    expect(logger.at('error').map(({ fields }) => fields['member'])).to.deep.equal(['stubborn']);
  });

  it('S104 (differs) lets a plain action know that its client left, sends no reply, and ends the connection at once', async () => {
    const { app: hasty } = await serve([path('/', CustomConsumer)], { settings: { closeTimeout: 20 } });
    const b = await connect(hasty, '/');
    b.send({ action: 'slow_plain', request_id: 1 });
    await begun.promise;
    b.close();
    await within(b.ended, 'The end of the connection');
    expect(told).to.deep.equal(['aborted: Disconnected', 'disconnected']);
    expect(b.frames).to.deep.equal([]);
    open.resolve();
  });

  it('S105 asks the permissions of a detached action before it begins', async () => {
    await using a = await connect(app, '/');
    a.send({ action: 'forbidden_detached', request_id: 1 });
    expect(await a.receive()).to.deep.equal(
      failure('forbidden_detached', 403, 'permission_denied', 'You do not have permission to perform this action.'),
    );
    expect(told).to.deep.equal([]);
  });

  it('refuse a method that is not async where the class is defined', () => {
    expect(() => {
      class Wrong extends ApiConsumer {
        @Detached() protected poll(): Promise<void> {
          return Promise.resolve();
        }
      }
      return Wrong;
    }).to.throw(ConfigurationError, 'Wrong.poll: is detached, but not an async function');
  });
});
