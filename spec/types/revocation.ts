import {
  Action,
  type ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  GroupsForConsumer,
  type ModelEvent,
  ModelObserver,
  type Rechecker,
  RevokedBy,
  Signal,
  type Subscription,
} from 'signalbox';
import { Membership, Message, RoomKey } from './entities.js';
import { some } from './support.js';

const kicked = new Signal<{ readonly room: number }>();

@Consumer()
class Chat extends ApiConsumer {
  @Action() async enter({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @ModelObserver(() => Message)
  async onMessage(event: ModelEvent<Message>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForConsumer('onMessage') protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }

  @RevokedBy('onMessage', () => Membership)
  @RevokedBy('onMessage', () => Membership)
  protected *ofMembership({ user }: Membership) {
    yield `user-${user.id}`;
  }

  @RevokedBy('onMessage', kicked)
  protected async ofKick({ room }: { readonly room: number }) {
    return [`room-${room}`];
  }

  // @ts-expect-error misspelt observer
  @RevokedBy('onMesage', kicked)
  protected *misspelt() {
    yield 'a';
  }

  // @ts-expect-error an action is no observer
  @RevokedBy('enter', kicked)
  protected *ofAction() {
    yield 'a';
  }

  // @ts-expect-error it is a membership that changed
  @RevokedBy('onMessage', () => Membership)
  protected *ofAnother({ text }: Message) {
    yield text;
  }

  // @ts-expect-error the signal has no such payload
  @RevokedBy('onMessage', kicked)
  protected *ofPayload({ name }: { name: string }) {
    yield name;
  }

  // @ts-expect-error groups are named by text
  @RevokedBy('onMessage', kicked)
  protected *ofNumber({ room }: { readonly room: number }) {
    yield room;
  }
}

const app = some<App>();
app.recheck(Chat, 'onMessage', ['room-1']);
some<Rechecker>().recheck(Chat, 'onMessage', []);
// @ts-expect-error misspelt observer
app.recheck(Chat, 'onMesage', []);
// @ts-expect-error an action is no observer
app.recheck(Chat, 'enter', []);
// @ts-expect-error a list of groups
app.recheck(Chat, 'onMessage', 'room-1');
