import { Entity, Enum, PrimaryKey } from '@mikro-orm/decorators/legacy';
import { IsEnum, IsOptional } from 'class-validator';
import {
  Action,
  ApiConsumer,
  Consumer,
  type ConsumerApi,
  Create,
  type InputOf,
  type Json,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  Patch,
} from 'signalbox';
import { same } from './support.js';

enum Status {
  doing = 'doing',
  done = 'done',
}
enum Level {
  low,
  high,
}
type RoomId = string & { readonly brand: 'room' };

// The wire form of an enum of texts is its values, that of one of numbers its numbers

same<Json<Status>, 'doing' | 'done'>();
same<Json<Status.done>, 'done'>();

// A set is a list, and a map an object

same<Json<Set<Date>>, string[]>();
same<Json<{ all: ReadonlyMap<string, Date> }>, { all: { [key: string]: string } }>();
same<Json<Map<number, bigint>>, { [key: string]: string }>();
same<Json<Level>, Level>();
same<Json<{ status?: Status; all: Status[] }>, { status?: 'doing' | 'done'; all: ('doing' | 'done')[] }>();
1 satisfies Json<Level>;
// @ts-expect-error no value of it
'paused' satisfies Json<Status>;
// @ts-expect-error no number of it
2 satisfies Json<Level>;

// Other texts stay what they are

same<Json<string>, string>();
same<Json<'red' | 4 | true | null>, 'red' | 4 | true | null>();
same<Json<`room-${number}`>, `room-${number}`>();
same<Json<RoomId>, RoomId>();

// In kwargs, in what is written, in what is filtered by

class Move {
  @IsEnum(Status) status!: Status;
  @IsOptional() @IsEnum(Level) level?: Level;
}

@Entity()
class Task {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Enum(() => Status) status!: Status;
  @Enum(() => Level) level!: Level;
}

class TaskSerializer extends ModelSerializer(Task, { fields: ['id', 'status', 'level'] }) {}

@Consumer()
class Moving extends ApiConsumer {
  @Action() move({ status }: Move) {
    return { status };
  }
}
@Consumer()
class Tasks extends mix(
  ModelConsumer(Task, { serializer: TaskSerializer, filters: { fields: ['status'] } }),
  List,
  Create,
  Patch,
) {}

type MoveApi = ConsumerApi<Moving>['actions']['move'];
same<MoveApi['kwargs'], { status: 'doing' | 'done'; level?: Level }>();
same<MoveApi['reply'], { status: 'doing' | 'done' }>();
({ status: 'doing', level: 1 }) satisfies MoveApi['kwargs'];
// @ts-expect-error no value of it
({ status: 'paused' }) satisfies MoveApi['kwargs'];

type TaskApi = ConsumerApi<Tasks>['actions'];
same<InputOf<TaskSerializer>, { id?: number; status: 'doing' | 'done'; level: Level }>();
({ data: { status: 'done', level: 0 } }) satisfies TaskApi['create']['kwargs'];
({ pk: 1, data: { status: 'done' } }) satisfies TaskApi['patch']['kwargs'];
({ filter: { status: ['doing', 'done'] } }) satisfies TaskApi['list']['kwargs'];
same<TaskApi['create']['reply'], { id: number; status: 'doing' | 'done'; level: Level }>();
// @ts-expect-error no value of it
({ pk: 1, data: { status: 'paused' } }) satisfies TaskApi['patch']['kwargs'];
