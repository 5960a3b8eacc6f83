import { NotFoundError, OptimisticLockError } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  ApiError,
  type App,
  Consumer,
  NotAuthenticated,
  NotFound,
  ParseError,
  PermissionDenied,
  path,
  Throttled,
  ValidationFailed,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { failure, notFound, reply } from '../support/frames.js';
import { gate, useServer } from '../support/serving.js';

class UnsupportedMedia extends ApiError {
  static override readonly status = 415;
  static override readonly code = 'unsupported_media';
}

class Teapot extends ApiError {
  static override readonly status = 418;
  static override readonly code = 'teapot';
  static override readonly detail = 'short and stout';
}

class MethodNotAllowed extends ApiError {
  static override readonly status = 405;
  static override readonly code = 'method_not_allowed';
}

const thrown: Readonly<Record<string, () => Error>> = {
  validation_dict: () => ValidationFailed.of({ a: ['x', 'y'], 'b.c': ['z'] }),
  validation_list: () => new ValidationFailed(undefined, { errors: ['l1', 'l2'] }),
  validation_str: () => new ValidationFailed('just text'),
  parse: () => new ParseError(),
  auth_failed: () => new NotAuthenticated('Incorrect authentication credentials.'),
  not_auth: () => new NotAuthenticated(),
  permission: () => new PermissionDenied(),
  drf_not_found: () => new NotFound(),
  method: () => new MethodNotAllowed('Method "FOO" not allowed.'),
  media: () => new UnsupportedMedia('Unsupported media type "x/y" in request.'),
  throttled: () => new Throttled('Request was throttled. Expected available in 5 seconds.'),
  api: () => new ApiError(),
  api_code: () => new Teapot(),
  absent_row: () => NotFoundError.findOneFailed('Thing', { id: 1 }),
  stale_row: () => OptimisticLockError.lockFailed('Thing'),
};

class Kind {
  @IsString()
  kind!: string;
}

let begun = gate();
let aborted: string[] = [];

@Consumer()
class CustomConsumer extends ApiConsumer {
  @Action()
  async raiseExc({ kind }: Kind) {
    throw thrown[kind]?.() ?? new RangeError('A secret.');
  }

  @Action()
  async boom() {
    throw new Error('A secret.');
  }

  @Action({ atomic: false })
  boomSync() {
    throw new Error('A secret.');
  }

  @Action()
  async echo({ kwargs }: ActionContext) {
    return kwargs;
  }

  @Action({ detached: true })
  async slowDetached({ signal }: ActionContext) {
    begun.resolve();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    aborted.push('t1');
  }
}

describe('DCRF: error replies and crashes', () => {
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;

  beforeEach(async () => {
    begun = gate();
    aborted = [];
    ({ app, logger } = serve([path('/', CustomConsumer)]));
  });

  const server = 'A server error occurred.';
  const answers: readonly (readonly [string, number, string, readonly unknown[]])[] = [
    ['validation_dict', 400, 'validation_failed', [{ a: ['x', 'y'], 'b.c': ['z'] }]],
    ['validation_list', 400, 'validation_failed', ['l1', 'l2']],
    ['validation_str', 400, 'validation_failed', ['just text']],
    ['parse', 400, 'parse_error', ['Malformed request.']],
    ['auth_failed', 401, 'not_authenticated', ['Incorrect authentication credentials.']],
    ['not_auth', 401, 'not_authenticated', ['Authentication credentials were not provided.']],
    ['permission', 403, 'permission_denied', ['You do not have permission to perform this action.']],
    ['drf_not_found', 404, 'not_found', ['Not found.']],
    ['method', 405, 'method_not_allowed', ['Method "FOO" not allowed.']],
    ['media', 415, 'unsupported_media', ['Unsupported media type "x/y" in request.']],
    ['throttled', 429, 'throttled', ['Request was throttled. Expected available in 5 seconds.']],
    ['api', 500, 'error', [server]],
    ['api_code', 418, 'teapot', ['short and stout']],
  ];

  it('S034 (differs) answers every API error with its status, its code and its texts', async () => {
    await using a = await connect(app, '/');
    for (const [kind, status, code, errors] of answers) {
      a.send({ action: 'raise_exc', kind, request_id: kind });
      expect(await a.receive()).to.deep.equal({
        errors,
        data: null,
        action: 'raise_exc',
        response_status: status,
        request_id: kind,
        code,
      });
    }
  });

  it('S035 (differs) answers 500 to an error outside of that family, and the socket lives on', async () => {
    await using a = await connect(app, '/');
    a.send({ action: 'raise_exc', kind: 'range', request_id: 1 });
    const answer = await a.receive();
    expect(answer).to.include({ response_status: 500, code: 'server_error', request_id: 1 });
    expect(JSON.stringify(answer)).not.to.include('secret');
    expect(await a.request('echo', { request_id: 2 })).to.deep.equal(reply('echo', {}, 2));
  });

  it('S035 (differs) answers an error of the ORM by which a client is told what it did with 404 or 409', async () => {
    await using a = await connect(app, '/');
    expect(await a.request('raise_exc', { kind: 'absent_row', request_id: 1 })).to.deep.equal(notFound('raise_exc'));
    expect(await a.request('raise_exc', { kind: 'stale_row', request_id: 2 })).to.deep.equal(
      failure('raise_exc', 409, 'conflict', 'The row was changed by another request meanwhile.', 2),
    );
  });

  it('S036 (differs) answers 500 with a correlation id that stands in the log, from async and sync actions', async () => {
    await using a = await connect(app, '/');
    for (const action of ['boom', 'boom_sync']) {
      a.send({ action, request_id: 1 });
      const { errors, response_status: status } = await a.receive();
      const entry = logger.at('error').at(-1);
      expect(status).to.equal(500);
      expect(errors).to.deep.equal([`${server.slice(0, -1)}. Correlation id: ${entry?.fields['correlationId']}.`]);
      expect(entry?.fields['error']).to.have.property('message', 'A secret.');
    }
  });

  it('S037 (differs) answers the frames behind one that crashed', async () => {
    await using a = await connect(app, '/');
    a.send({ action: 'boom', request_id: 1 });
    a.send({ action: 'echo', request_id: 2 });
    expect(await a.receive()).to.include({ response_status: 500, request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('echo', {}, 2));
  });

  it('S039 (differs) leaves detached actions alone when another one crashes, and aborts them at the disconnect', async () => {
    const b = await connect(app, '/');
    b.send({ action: 'slow_detached', request_id: 1 });
    await begun.promise;
    expect(await b.request('boom')).to.include({ response_status: 500 });
    expect(aborted).to.deep.equal([]);
    b.close();
    await b.ended;
    expect(aborted).to.deep.equal(['t1']);
  });
});
