import { Action, ActionContext, ApiConsumer, Observer, Signal, type SignalEvent, type Subscription } from 'signalbox';

interface Rung {
  readonly bell: string;
}

export const bells = new Signal<Rung>();

/** Tells each client that listens which bell was rung. */
export abstract class BellObserver extends ApiConsumer {
  @Action({ status: 201 })
  async listen(context: ActionContext) {
    await this.subscribe(this.onBell, {}, context);
  }

  @Observer(bells)
  async onBell(event: SignalEvent<Rung>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}
