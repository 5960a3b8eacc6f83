import { type DataOf, type InputOf, ModelSerializer, Serializer, type SerializerContext, type ViewOf } from 'signalbox';
import { injectable } from 'tsyringe';
import { Membership, Message, Room, Tag, User } from './entities.js';
import { same, some } from './support.js';

@injectable()
class UserSerializer extends ModelSerializer(User, {
  fields: ['id', 'username', 'password'],
  writeOnly: ['password'],
}) {}

@injectable()
class MessageSerializer extends ModelSerializer(Message, {
  fields: ['id', 'text', 'sentAt', 'user', 'room'],
  readOnly: ['sentAt'],
  nested: { user: UserSerializer },
}) {}

class Shouting extends Serializer<User, { loud: string }> {
  toData({ username }: User) {
    return { loud: username.toUpperCase() };
  }
}

// What is shown

@injectable()
class Scalars extends ModelSerializer(Room, {
  fields: [
    'id',
    'name',
    'slug',
    'archived',
    'state',
    'createdAt',
    'opensAt',
    'visits',
    'topic',
    'settings',
    'aliases',
    'rules',
  ],
}) {}

same<
  ViewOf<Scalars>,
  {
    id: number;
    name: string;
    slug: string;
    archived: boolean;
    state: 'open' | 'closed';
    createdAt: Date;
    opensAt: Date;
    visits: bigint;
    topic: string | null;
    settings: { theme: string; since: Date };
    aliases: string[];
    rules: string;
  }
>();
same<ViewOf<typeof Scalars>, ViewOf<Scalars>>();
// @ts-expect-error a Date is text in JSON only
same<ViewOf<Scalars>['opensAt'], string>();
// @ts-expect-error the brand of Opt is not shown
same<ViewOf<Scalars>['archived'], Room['archived']>();

@injectable()
class Relations extends ModelSerializer(Room, {
  fields: ['host', 'deputy', 'owner', 'country', 'seat', 'members', 'tags', 'messages'],
}) {}

same<
  ViewOf<Relations>,
  {
    host: number;
    deputy: number | null;
    owner: number;
    country: string | null;
    seat: { readonly user: number; readonly position: number };
    members: number[];
    tags: string[];
    messages: number[];
  }
>();
// @ts-expect-error a relation is shown by key, unless it is nested
same<ViewOf<Relations>['host'], User>();
// @ts-expect-error undefined is shown as null
same<ViewOf<Relations>['deputy'], number | undefined>();

@injectable()
class Nested extends ModelSerializer(Room, {
  fields: ['id', 'host', 'deputy', 'owner', 'members', 'messages'],
  nested: {
    host: UserSerializer,
    deputy: UserSerializer,
    owner: Shouting,
    members: UserSerializer,
    messages: MessageSerializer,
  },
}) {}

type UserView = { id: number; username: string };
type MessageView = { id: number; text: string; sentAt: Date; user: UserView; room: number };

same<ViewOf<UserSerializer>, UserView>();
same<ViewOf<MessageSerializer>, MessageView>();
same<
  ViewOf<Nested>,
  {
    id: number;
    host: UserView;
    deputy: UserView | null;
    owner: { loud: string };
    members: UserView[];
    messages: MessageView[];
  }
>();
// @ts-expect-error the password is accepted only
some<ViewOf<UserSerializer>>().password;
// @ts-expect-error nor is it in the nested view
some<ViewOf<Nested>>().host.password;

@injectable()
class Computed extends ModelSerializer(Room, { fields: ['id'], computed: ['lastMessage', 'age', 'label'] }) {
  age(room: Room): number {
    return Date.now() - room.createdAt.getTime();
  }
  async lastMessage(room: Room, _context: SerializerContext): Promise<ViewOf<MessageSerializer> | null> {
    return room.messages.getItems()[0] ? some<MessageView>() : null;
  }
  label(room: Room) {
    return `#${room.name}`;
  }
}

same<ViewOf<Computed>, { id: number; lastMessage: MessageView | null; age: number; label: string }>();
// @ts-expect-error the promise of a computed field is awaited
same<ViewOf<Computed>['lastMessage'], Promise<MessageView | null>>();

same<ViewOf<Shouting>, { loud: string }>();
same<ViewOf<typeof Shouting>, { loud: string }>();
// @ts-expect-error what toData gives, and not the entity
same<ViewOf<Shouting>, User>();

// What is accepted

@injectable()
class Accepting extends ModelSerializer(Room, {
  fields: [
    'id',
    'name',
    'slug',
    'archived',
    'state',
    'createdAt',
    'opensAt',
    'visits',
    'topic',
    'settings',
    'host',
    'deputy',
    'owner',
    'country',
    'seat',
    'members',
    'messages',
  ],
  readOnly: ['id', 'createdAt'],
  nested: { messages: MessageSerializer },
  optional: ['settings'],
}) {}

same<
  InputOf<Accepting>,
  {
    name: string;
    opensAt: string;
    visits: string;
    host: number;
    owner: number;
    seat: { user: number; position: number };
    slug?: string;
    archived?: boolean;
    state?: 'open' | 'closed';
    topic?: string | null;
    settings?: { theme: string; since: string };
    deputy?: number | null;
    country?: string | null;
    members?: number[];
  }
>();
same<InputOf<typeof Accepting>, InputOf<Accepting>>();
some<InputOf<Accepting>>().name satisfies string;
// @ts-expect-error read-only
some<InputOf<Accepting>>().createdAt;
// @ts-expect-error nested relations are read-only
some<InputOf<Accepting>>().messages;
// @ts-expect-error a client sends dates as text
({ opensAt: new Date() }) satisfies Partial<InputOf<Accepting>>;
// @ts-expect-error relations are sent by key
({ host: some<User>() }) satisfies Partial<InputOf<Accepting>>;
// @ts-expect-error name is required
({ opensAt: '', visits: '', host: 1, owner: 1, seat: { user: 1, position: 1 } }) satisfies InputOf<Accepting>;
({ name: '', opensAt: '', visits: '', host: 1, owner: 1, seat: { user: 1, position: 1 } }) satisfies InputOf<Accepting>;

same<InputOf<UserSerializer>, { username: string; password: string; id?: number }>();
// @ts-expect-error the types do not say that the database makes the key, but it may always be left out
same<InputOf<UserSerializer>, { username: string; password: string; id: number }>();

// What another serializer accepts

@injectable()
class MessageInput extends ModelSerializer(Message, { fields: ['text', 'user'] }) {}

@injectable()
class NestedMessage extends ModelSerializer(Message, {
  fields: ['id', 'user'],
  nested: { user: UserSerializer },
  input: MessageInput,
}) {}

same<InputOf<NestedMessage>, { text: string; user: number }>();
same<DataOf<NestedMessage>, DataOf<MessageInput>>();
same<ViewOf<NestedMessage>, { id: number; user: { id: number; username: string } }>();
// @ts-expect-error: it is a serializer of another entity
ModelSerializer(Message, { fields: ['id'], input: UserSerializer });
// @ts-expect-error: nobody accepts anything by a serializer that only shows
ModelSerializer(User, { fields: ['id'], input: Shouting });

// Binary data are base64

class Picture {
  id!: number;
  pixels!: Uint8Array;
  thumbnail!: Buffer | null;
}

@injectable()
class PictureSerializer extends ModelSerializer(Picture, { fields: ['id', 'pixels', 'thumbnail'] }) {}

same<ViewOf<PictureSerializer>, { id: number; pixels: string; thumbnail: string | null }>();
same<InputOf<PictureSerializer>, { id?: number; pixels: string; thumbnail?: string | null }>();

// What is left after validation

same<
  DataOf<MessageSerializer>,
  {
    id?: number;
    text?: string;
    room?: Room;
  }
>();
some<DataOf<Accepting>>().opensAt satisfies Date | undefined;
some<DataOf<Accepting>>().host satisfies User | undefined;
some<DataOf<Accepting>>().owner satisfies User | undefined;
some<DataOf<Accepting>>().members satisfies User[] | undefined;
some<DataOf<Accepting>>().deputy satisfies User | null | undefined;
// @ts-expect-error relations are entities by then
some<DataOf<Accepting>>().host satisfies number | undefined;
// @ts-expect-error and read-only fields never come
some<DataOf<Accepting>>().createdAt;

class Overriding extends ModelSerializer(Message, { fields: ['text', 'room'] }) {
  override async create(data: DataOf<Overriding>, context: SerializerContext) {
    return super.create({ ...data, user: some<User>() }, context);
  }
  protected override async check(data: DataOf<Overriding>, _context: SerializerContext) {
    data.room?.name satisfies string | undefined;
    // @ts-expect-error not among the fields
    data.user;
  }
}
class Inventing extends ModelSerializer(Message, { fields: ['text', 'room'] }) {
  override async create(data: DataOf<Inventing>, context: SerializerContext) {
    // @ts-expect-error the entity has no such property
    return super.create({ ...data, usr: some<User>() }, context);
  }
}
class Misreading extends ModelSerializer(Message, { fields: ['text', 'room'] }) {
  // @ts-expect-error the text is a string
  protected override async check(_data: { text?: number }, _context: SerializerContext) {}
}
same<ViewOf<Overriding>, ViewOf<Inventing>>();
same<ViewOf<Overriding>, ViewOf<Misreading>>();

// Declarations that are refused

// @ts-expect-error misspelt field
ModelSerializer(Room, { fields: ['id', 'nmae'] });
// @ts-expect-error a method is no field
ModelSerializer(Room, { fields: ['isOpen'] });
// @ts-expect-error misspelt read-only field
ModelSerializer(Room, { fields: ['id'], readOnly: ['di'] });
// @ts-expect-error misspelt write-only field
ModelSerializer(User, { fields: ['id'], writeOnly: ['pasword'] });
// @ts-expect-error misspelt option: the password would be shown
ModelSerializer(User, { fields: ['id', 'password'], writeonly: ['password'] });
// @ts-expect-error misspelt nested relation
ModelSerializer(Room, { fields: ['host'], nested: { hots: UserSerializer } });
// @ts-expect-error nested, and not among the fields
ModelSerializer(Room, { fields: ['id'], nested: { host: UserSerializer } });
// @ts-expect-error the host is a user, and no message
ModelSerializer(Room, { fields: ['host'], nested: { host: MessageSerializer } });
// @ts-expect-error the members are users
ModelSerializer(Room, { fields: ['members'], nested: { members: MessageSerializer } });
// @ts-expect-error the owner is a user behind a reference
ModelSerializer(Room, { fields: ['owner'], nested: { owner: MessageSerializer } });
// @ts-expect-error a name is no relation
ModelSerializer(Room, { fields: ['name'], nested: { name: UserSerializer } });
ModelSerializer(Room, {
  fields: ['owner', 'members', 'host'],
  nested: { owner: UserSerializer, members: UserSerializer },
});

// An entity whose key has another name, several parts, or is a UUID

class OfTag extends ModelSerializer(Tag, { fields: ['uuid', 'label'] }) {}
class OfMembership extends ModelSerializer(Membership, { fields: ['user', 'position'] }) {}
same<InputOf<OfTag>, { label: string; uuid?: string }>();
same<ViewOf<OfMembership>, { user: number; position: number }>();
// @ts-expect-error the uuid is a string
same<ViewOf<OfTag>['uuid'], number>();
