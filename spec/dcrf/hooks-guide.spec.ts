import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Conflict,
  Consumer,
  type ErrorMapper,
  type Permission,
  Permissions,
  path,
  ValidationFailed,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { failure, invalid, reply } from '../support/frames.js';
import { useServer } from '../support/serving.js';

// What docs/coming-from-dcrf.md shows instead of hooks of DCRF, as it stands there.

class CardDeclined extends Error {}

@injectable()
class PaymentErrors implements ErrorMapper {
  toApiError(thrown: unknown) {
    return thrown instanceof CardDeclined ? new Conflict('The card was declined.') : undefined;
  }
}

@Consumer()
class PaymentConsumer extends ApiConsumer {
  @Action()
  async pay() {
    throw new CardDeclined('A secret of the bank.');
  }
}

class Sum {
  @IsInt() a!: number;
  @IsInt() b!: number;
}

@Consumer()
class CalculatorConsumer extends ApiConsumer {
  protected override getActionName(payload: Record<string, unknown>) {
    const { method, params = {} } = payload;
    if (typeof params !== 'object') throw ValidationFailed.of({ params: ['This has to be an object.'] });
    delete payload['method'];
    delete payload['params'];
    Object.assign(payload, params);
    return method;
  }

  @Action()
  async add({ a, b }: Sum) {
    return a + b;
  }
}

const writing: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'archive']);

@injectable()
class OnlyHostsWrite implements Permission {
  hasPermission({ action, scope }: ActionContext) {
    return !writing.has(action) || scope.query.get('role') === 'host';
  }
}

@injectable()
class IsOffice implements Permission {
  hasPermission({ scope }: ActionContext) {
    return scope.query.get('from') === 'office';
  }
}

@Consumer()
@Permissions(OnlyHostsWrite)
class RoomConsumer extends ApiConsumer {
  @Action()
  async list() {
    return [];
  }

  @Action()
  async archive() {
    return 'archived';
  }

  @Action({ permissions: [IsOffice] })
  async export() {
    return 'exported';
  }
}

describe('What is written instead of hooks of DCRF', () => {
  const serve = useServer();
  let app: App;

  beforeEach(() => {
    const routes = [
      path('/pay/', PaymentConsumer),
      path('/calculator/', CalculatorConsumer),
      path('/rooms/', RoomConsumer),
    ];
    ({ app } = serve(routes, { errors: [PaymentErrors] }));
  });

  it('handle_exception: a mapper answers the errors of another library', async () => {
    await using ann = await connect(app, '/pay/');
    expect(await ann.request('pay', { request_id: 1 })).to.deep.equal(
      failure('pay', 409, 'conflict', 'The card was declined.'),
    );
  });

  it('receive_json: frames of another shape are read where their action is told', async () => {
    await using ann = await connect(app, '/calculator/');
    ann.send({ method: 'add', params: { a: 1, b: 2 }, request_id: 1 });
    expect(await ann.receive()).to.deep.equal(reply('add', 3));
    ann.send({ method: 'add', params: { a: 1, b: 'x' }, request_id: 2 });
    expect(await ann.receive()).to.deep.equal(invalid('add', { b: ['b must be an integer number.'] }, 2));
    ann.send({ method: 'add', params: 3, request_id: 3 });
    expect(await ann.receive()).to.deep.equal({
      ...invalid('add', { params: ['This has to be an object.'] }, 3),
      action: null,
    });
  });

  it('check_permissions: a permission decides by the action, and actions have permissions of their own besides', async () => {
    const statuses = async (url: string) => {
      await using ann = await connect(app, url);
      const answers = ['list', 'archive', 'export'].map((action) => ann.request(action));
      return (await Promise.all(answers)).map(({ response_status: status }) => status);
    };
    expect(await statuses('/rooms/')).to.deep.equal([200, 403, 403]);
    expect(await statuses('/rooms/?role=host')).to.deep.equal([200, 200, 403]);
    expect(await statuses('/rooms/?from=office')).to.deep.equal([200, 403, 200]);
  });
});
