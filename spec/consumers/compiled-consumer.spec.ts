import { expect } from 'chai';
import {
  Action,
  ActionContext,
  AllowAny,
  ApiConsumer,
  all,
  ConfigurationError,
  Consumer,
  DetailAction,
  describePermission,
  GroupsForBoth,
  GroupsForConsumer,
  GroupsForSignal,
  IsAuthenticated,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  not,
  ObserveInstance,
  PermissionDenied,
  type PermissionExpression,
  Permissions,
  RevokedBy,
  type Subscription,
} from 'signalbox';
import { compileConsumer } from '#signalbox/consumers/compiled-consumer.js';
import { defaultSettings } from '#signalbox/settings.js';
import { Message, Room, User } from '../support/entities.js';
import { RoomKey, RoomSerializer } from '../support/rooms.js';

type AnyConsumer = Parameters<typeof compileConsumer>[0];

class IsBanned {
  hasPermission() {
    return false;
  }
}

function compile(consumer: AnyConsumer, defaults: PermissionExpression[] = []) {
  return compileConsumer(consumer, consumer.name, defaults, defaultSettings);
}

describe('A consumer class', () => {
  it('has the actions and observers of those it extends', () => {
    class Base extends ApiConsumer {
      @Action() greet() {}
      @ModelObserver(() => Message) onMessage(_event: ModelEvent<Message>, _subscription: Subscription<RoomKey>) {}
      @GroupsForSignal('onMessage') protected *groupsOfMessage(message: Message) {
        yield `${message.id}`;
      }
      @GroupsForConsumer('onMessage') protected *groupsOfRoom({ room }: RoomKey) {
        yield `${room}`;
      }
    }
    @Consumer()
    class Derived extends Base {
      @Action() part() {}
    }
    const { actions, observers } = compile(Derived);
    expect([...actions.values()].map(({ name }) => name)).to.deep.equal(['greet', 'part']);
    expect([...observers.keys()]).to.deep.equal(['onMessage']);
  });

  describe('asks', () => {
    @Consumer()
    @Permissions(IsAuthenticated, IsBanned)
    class Guarded extends ApiConsumer {}

    it('what stands on it, all of it', () => {
      expect(describePermission(compile(Guarded, [IsBanned]).permissions.expression)).to.equal(
        'all(IsAuthenticated, IsBanned)',
      );
    });

    it('what stands on the class that it extends', () => {
      @Consumer()
      class Heir extends Guarded {}
      expect(describePermission(compile(Heir).permissions.expression)).to.equal('all(IsAuthenticated, IsBanned)');
    });

    it('its own instead of what it would inherit', () => {
      @Consumer()
      @Permissions(IsBanned)
      class Replacing extends Guarded {}
      expect(describePermission(compile(Replacing).permissions.expression)).to.equal('all(IsBanned)');
    });

    it("the application's, where it has none", () => {
      @Consumer()
      class Open extends ApiConsumer {}
      expect(describePermission(compile(Open, [IsAuthenticated]).permissions.expression)).to.equal(
        'all(IsAuthenticated)',
      );
    });

    it('that of an action besides its own', () => {
      @Consumer()
      @Permissions(IsAuthenticated)
      class WithAction extends ApiConsumer {
        @Action({ permissions: [IsBanned] }) act() {}
      }
      expect(compile(WithAction).actions.get('act')?.permissions.providers).to.deep.equal([IsAuthenticated, IsBanned]);
    });
  });

  describe('is refused', () => {
    it('without @Consumer', () => {
      class Plain extends ApiConsumer {}
      expect(() => compile(Plain)).to.throw(
        ConfigurationError,
        'Plain: is routed without a decorator of its own, so the container would pass nothing to its constructor. Put @Consumer() on it.',
      );
    });

    it('without a @Consumer of its own', () => {
      @Consumer()
      class Base extends ApiConsumer {}
      class Derived extends Base {}
      expect(() => compile(Derived)).to.throw('Derived: is routed without a decorator of its own');
    });

    it('that extends no consumer', () => {
      @Consumer()
      class Stranger {}
      expect(() => compile(Stranger as unknown as AnyConsumer)).to.throw(
        ConfigurationError,
        'Stranger: is routed, but is not a consumer. Let it extend ApiConsumer or mix(ModelConsumer(…), …).',
      );
    });

    it('with a detail action and without a model', () => {
      @Consumer()
      class NoModel extends ApiConsumer {
        // @ts-expect-error refused by the types as well
        @DetailAction() archive(_room: Room) {}
      }
      expect(() => compile(NoModel)).to.throw(
        ConfigurationError,
        'NoModel.archive: is a detail action, but the consumer has no model to look up. Let the consumer extend mix(ModelConsumer(Entity, { serializer })), or use @Action.',
      );
    });

    it('with a detail action on another model', () => {
      @Consumer()
      class OtherModel extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List) {
        // @ts-expect-error refused by the types as well
        @DetailAction() archive(_message: Message) {}
      }
      expect(() => compile(OtherModel)).to.throw(
        ConfigurationError,
        'OtherModel.archive: is a detail action on Message, but the model of the consumer is Room. Let its first parameter be a Room.',
      );
    });

    it('with groups for what is no observer', () => {
      @Consumer()
      class Unknown extends ApiConsumer {
        onMessage(_event: ModelEvent<Message>) {}
        @GroupsForSignal('onMessage') protected *groups(_message: Message) {
          yield 'all';
        }
      }
      expect(() => compile(Unknown)).to.throw(
        ConfigurationError,
        'Unknown.groups: yields groups for "onMessage", which is not an observer. Put @ModelObserver on onMessage, or name one of: none yet.',
      );
    });

    it('with groups for one side only', () => {
      @Consumer()
      class OneSide extends ApiConsumer {
        @ModelObserver(() => Message) onMessage(_event: ModelEvent<Message>, _subscription: Subscription<RoomKey>) {}
        @GroupsForSignal('onMessage') protected *groups(_message: Message) {
          yield 'all';
        }
      }
      expect(() => compile(OneSide)).to.throw(
        ConfigurationError,
        "OneSide.onMessage: has groups for one side only, so no subscription would ever receive a change. Add a method with @GroupsForConsumer('onMessage').",
      );
    });

    describe('with @RevokedBy where nothing could be asked again', () => {
      const text =
        'Checking.groupsOfUser: declares what the right to follow onMessage depends on, but there is no permission that could be asked again: the code of an action is not run again. Let a permission check the right: @Action({ permissions: [IsMember] }) on the action that subscribes, or @Permissions(IsMember) on the class. Or drop @RevokedBy.';

      function checking(permissions: PermissionExpression[] = []) {
        @Consumer()
        class Checking extends ApiConsumer {
          /** Checks the right in its own code. */
          @Action({ permissions }) async follow(context: ActionContext) {
            if (context.scope.user === undefined) throw new PermissionDenied();
            await this.subscribe(this.onMessage, {}, context);
          }
          @ModelObserver(() => Message) onMessage(_event: ModelEvent<Message>, _subscription: Subscription) {}
          @RevokedBy('onMessage', () => User) protected *groupsOfUser(_user: User) {
            yield 'all';
          }
        }
        return Checking;
      }

      it('because no permission stands on it', () => {
        expect(() => compile(checking())).to.throw(ConfigurationError, text);
      });

      it('because those that do know of the connection only', () => {
        expect(() => compile(checking([AllowAny]), [IsAuthenticated])).to.throw(ConfigurationError, text);
        expect(() => compile(checking([IsBanned]))).not.to.throw();
        expect(() => compile(checking(), [all(IsAuthenticated, not(IsBanned))])).not.to.throw();
      });

      it('unless an action names an object, which may be gone or hidden', () => {
        @Consumer()
        class Following extends ModelConsumer(Room, { serializer: RoomSerializer }) {
          @DetailAction() async follow(_room: Room, context: ActionContext) {
            await this.subscribe(this.onMessage, {}, context);
          }
          @ModelObserver(() => Message) onMessage(_event: ModelEvent<Message>, _subscription: Subscription) {}
          @RevokedBy('onMessage', () => User) protected *groupsOfUser(_user: User) {
            yield 'all';
          }
        }
        expect(() => compile(Following)).not.to.throw();
      });

      it('for rows that every client sees', () => {
        abstract class Rows extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveInstance) {
          @RevokedBy('onInstance', () => User) protected *groupsOfUser(_user: User) {
            yield '1';
          }
        }
        @Consumer()
        class All extends Rows {}
        @Consumer()
        class Some extends Rows {
          protected override getQuery() {
            return { archived: false };
          }
        }
        expect(() => compile(All)).to.throw(
          ConfigurationError,
          'All.groupsOfUser: declares what the right to follow onInstance',
        );
        expect(() => compile(Some)).not.to.throw();
      });
    });

    for (const hook of ['getQuery', 'filterQuery'] as const) {
      it(`with an observer of its model that tells every client of every row, although ${hook} leaves some out`, () => {
        abstract class Telling extends ModelConsumer(Room, { serializer: RoomSerializer }) {
          @ModelObserver(() => Room) onRoom(_event: ModelEvent<Room>, _subscription: Subscription) {}
          @ModelObserver(() => Message) onMessage(_event: ModelEvent<Message>, _subscription: Subscription) {}
        }
        @Consumer()
        class Leaking extends Telling {}
        Object.defineProperty(Leaking.prototype, hook, { value: () => ({ archived: false }) });
        expect(() => compile(Leaking)).to.throw(
          ConfigurationError,
          `Leaking.onRoom: has no groups, so each of its subscriptions receives every Room, also those that ${hook} leaves out. Give it groups: @GroupsForSignal('onRoom') and @GroupsForConsumer('onRoom'), or @GroupsForBoth('onRoom') that yields one name if every Room is meant for every subscription. Or let clients subscribe to single rows: ObserveInstance asks the query.`,
        );
        @Consumer()
        class Whole extends Telling {}
        expect(() => compile(Whole)).not.to.throw();
        @Consumer()
        class Meant extends Telling {
          @GroupsForBoth('onRoom') protected *everyRoom(_subject: unknown) {
            yield 'all';
          }
        }
        Object.defineProperty(Meant.prototype, hook, { value: () => ({ archived: false }) });
        expect(() => compile(Meant)).not.to.throw();
      });
    }
  });
});
