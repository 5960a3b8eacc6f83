import {
  Action,
  type ActionContext,
  AllowAny,
  ApiConsumer,
  all,
  any,
  Consumer,
  createApp,
  type Delivery,
  IsAuthenticated,
  not,
  type Permission,
  type PermissionExpression,
  Permissions,
  path,
  type Scope,
  withOptions,
} from 'signalbox';
import { injectable, singleton } from 'tsyringe';
import { some } from './support.js';

@singleton()
class BanList {
  readonly names = new Set(['mallory']);
}

@injectable()
class IsBanned implements Permission {
  constructor(private readonly bans: BanList) {}
  async hasPermission({ scope }: ActionContext) {
    return this.bans.names.has(String(scope.params.name));
  }
}

// Options in any of the questions

type Role = { role: 'admin' | 'moderator' };

class HasRole implements Permission<Role> {
  hasPermission({ scope }: ActionContext, { role }: Role) {
    return scope.params.role === role;
  }
}
class MayConnect implements Permission<{ from: string }> {
  canConnect(scope: Scope, { from }: { from: string }) {
    return scope.path.startsWith(from);
  }
}
class OwnsObject implements Permission<{ field: string }> {
  hasObjectPermission(_context: ActionContext, object: object, { field }: { field: string }) {
    return field in object;
  }
}
class MayReceive implements Permission<{ level: number }> {
  canReceive({ action }: Delivery, { level }: { level: number }) {
    return action !== 'delete' || level > 1;
  }
}
class AsksTwice implements Permission<{ role: string; level: number }> {
  hasPermission(_context: ActionContext, { role }: { role: string }) {
    return role !== '';
  }
  canReceive(_delivery: Delivery, { level }: { level: number }) {
    return level > 1;
  }
}
class Either implements Permission<{ level: number } | undefined> {
  hasPermission(_context: ActionContext, options?: { level: number }) {
    return (options?.level ?? 0) > 1;
  }
}

withOptions(HasRole, { role: 'admin' }) satisfies PermissionExpression;
withOptions(MayConnect, { from: '/ws/' });
withOptions(OwnsObject, { field: 'owner' });
withOptions(MayReceive, { level: 1 });
withOptions(AsksTwice, { role: 'admin', level: 2 });
withOptions(Either, { level: 1 });
// @ts-expect-error no such role
withOptions(HasRole, { role: 'root' });
// @ts-expect-error misspelt option
withOptions(HasRole, { rolle: 'admin' });
// @ts-expect-error options are needed
withOptions(HasRole);
// @ts-expect-error a path is text
withOptions(MayConnect, { from: 1 });
// @ts-expect-error a field is text
withOptions(OwnsObject, { field: 1 });
// @ts-expect-error a level is a number
withOptions(MayReceive, { level: 'high' });
// @ts-expect-error its other question needs the level
withOptions(AsksTwice, { role: 'admin' });
// @ts-expect-error a level is a number, if it is there
withOptions(Either, { level: 'high' });
// @ts-expect-error it takes no options
withOptions(IsAuthenticated, {});
// @ts-expect-error nor does this one
withOptions(IsBanned, { name: 'mallory' });
// @ts-expect-error no permission
withOptions(BanList, {});

// Expressions

all(IsAuthenticated, not(IsBanned), any(AllowAny, withOptions(HasRole, { role: 'admin' })), Either);
// @ts-expect-error it needs options
all(HasRole);
// @ts-expect-error it needs options
not(MayReceive);
// @ts-expect-error an instance is no provider
any(new AllowAny());
// @ts-expect-error a class that is no permission
all(BanList, IsAuthenticated);
// @ts-expect-error one operand
not(IsBanned, AllowAny);

class Throttle implements Permission {
  hasPermission({ isDelivery }: ActionContext) {
    const counts: boolean = !isDelivery;
    // @ts-expect-error it is told, not set
    some<ActionContext>().isDelivery = counts;
    return counts;
  }
}
all(Throttle);

class WrongAnswer implements Permission {
  // @ts-expect-error the answer is a boolean
  hasPermission() {
    return 'yes';
  }
}
class WrongQuestion {
  hasPermision() {
    return true;
  }
}
// @ts-expect-error the answer is a boolean
all(WrongAnswer);
// @ts-expect-error misspelt question
all(WrongQuestion);

// On classes, actions and applications

@Consumer()
@Permissions(all(IsAuthenticated, not(IsBanned)), withOptions(HasRole, { role: 'moderator' }))
class Guarded extends ApiConsumer {
  @Action({ permissions: [withOptions(HasRole, { role: 'admin' })] }) wipe() {}
  // @ts-expect-error a list
  @Action({ permissions: IsAuthenticated }) noList() {}
  // @ts-expect-error it needs options
  @Action({ permissions: [HasRole] }) noOptions() {}
}
createApp({ orm: some(), routes: [path('/ws/', Guarded)], permissions: [not(IsBanned)] });
// @ts-expect-error a class that is no permission
createApp({ orm: some(), routes: [path('/ws/', Guarded)], permissions: [BanList] });

// @ts-expect-error it needs options
@Permissions(HasRole)
class Unguarded extends ApiConsumer {
  // @ts-expect-error permissions stand on classes; an action lists its own
  @Permissions(IsAuthenticated)
  @Action()
  wipe() {}
}
some<Unguarded>();
