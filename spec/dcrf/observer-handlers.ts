import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  type Delivery,
  type ModelEvent,
  ModelObserver,
  type Permission,
  Permissions,
  type Subscription,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { Thing } from '../support/things.js';
import { AllThings, Watching } from './observer-consumers.js';

type Heard<Body> = ModelEvent<Thing, Body>;

/** Two observers of one model, subscribed with one request. */
@Consumer()
export class Described extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onKey, {}, context);
    await this.subscribe(this.onTitle, {}, context);
  }
  @ModelObserver(() => Thing)
  async onKey(event: Heard<{ pk: number }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
  @ModelObserver(() => Thing, { body: ({ name, shelf }) => ({ title: `${name} (${shelf})` }) })
  async onTitle(event: Heard<{ title: string }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

function noteOf(row: Thing): unknown {
  const { name } = row;
  if (name === 'object') return row;
  if (name === 'uuid') return '11111111-1111-1111-1111-111111111111';
  if (name === 'datetime') return new Date('2026-01-02T03:04:05Z');
  if (name === 'bigint') return 12345678901234567890n;
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  return name === 'circle' ? circle : name;
}

@Consumer()
export class Notes extends Watching {
  @ModelObserver(() => Thing, { body: (row) => ({ body: noteOf(row as Thing) }) })
  async onThing(event: Heard<{ body: unknown }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

@Consumer()
export class Failing extends Watching {
  @ModelObserver(() => Thing)
  async onThing(event: Heard<{ pk: number }>, subscription: Subscription<object>) {
    if (event.action === 'update') throw new Error('no');
    await subscription.send(event);
  }
}

@Consumer()
export class Underscored extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this._onThing, {}, context);
  }
  @ModelObserver(() => Thing)
  async _onThing(event: Heard<{ pk: number }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

@Consumer()
export class Dup extends Watching {
  @ModelObserver(() => Thing)
  async onThing({ action }: Heard<{ pk: number }>, subscription: Subscription<object>) {
    await subscription.send({ action, data: { via: 'Dup' } });
  }
}

@Consumer()
export class DupToo extends Watching {
  @ModelObserver(() => Thing)
  async onThing({ action }: Heard<{ pk: number }>, subscription: Subscription<object>) {
    await subscription.send({ action, data: { via: 'DupToo' } });
  }
}

/** Frames of the application's own shape, as a handler of DCRF sends them. */
@Consumer()
export class Bare extends Watching {
  @ModelObserver(() => Thing)
  async onThing({ action, data }: Heard<{ pk: number }>, { requestId }: Subscription<object>) {
    this.sendJson({ body: data, action, ids: [requestId] });
  }
}

@injectable()
class Allowed implements Permission {
  canReceive({ scope }: Delivery) {
    return scope.query.get('may') === 'yes';
  }
}

@Consumer()
@Permissions(Allowed)
export class Guarded extends AllThings {}

let release: (() => void) | undefined;

/** Is busy until it is told to finish. */
@Consumer()
export class Busy extends Watching {
  /** How often a row was shown. */
  static shown = 0;

  static finish(): void {
    release?.();
  }

  @Action()
  async slow() {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
  }
  @ModelObserver(() => Thing, {
    body: ({ count }) => {
      Busy.shown++;
      return { count };
    },
  })
  async onThing(event: Heard<{ count: number }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}
