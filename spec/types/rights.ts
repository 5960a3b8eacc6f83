import {
  type ActionContext,
  Consumer,
  type ConsumerApi,
  type InputOf,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  Retrieve,
  type Rights,
  type RightsNameOf,
  type ViewOf,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { Message } from './entities.js';
import { same, some } from './support.js';

@injectable()
class ChatRights implements Rights {
  async rightsOf({ scope }: ActionContext) {
    return scope.query.has('moderator') ? 'moderator' : undefined;
  }
}

class StaffRights implements Rights<'hr' | 'lead'> {
  rightsOf(): 'hr' | 'lead' {
    return 'hr';
  }
}

same<RightsNameOf<typeof ChatRights>, 'moderator'>();
same<RightsNameOf<typeof StaffRights>, 'hr' | 'lead'>();

@injectable()
class MessageSerializer extends ModelSerializer(Message, {
  fields: ['id', 'text', 'sentAt'],
  computed: ['reports'],
  rights: { by: ChatRights, fields: { sentAt: 'moderator', reports: ['moderator'] } },
}) {
  reports() {
    return 3;
  }
}

@injectable()
class StaffSerializer extends ModelSerializer(Message, {
  fields: ['id', 'text'],
  rights: { by: StaffRights, fields: { text: ['hr', 'lead'] } },
}) {}

same<ViewOf<MessageSerializer>, { id: number; text: string; sentAt?: Date; reports?: number }>();
same<ViewOf<StaffSerializer>, { id: number; text?: string }>();
same<InputOf<StaffSerializer>, { id?: number; text?: string }>();

@Consumer()
class Messages extends mix(
  ModelConsumer(Message, { serializer: MessageSerializer }),
  Retrieve,
  Patch,
  ObserveInstance,
) {}

type Api = ConsumerApi<Messages>;
type Shown = { id: number; text: string; sentAt?: string; reports?: number };
same<Api['actions']['retrieve']['reply'], Shown>();
some<Extract<Api['observers']['onInstance']['event'], { action: 'update' }>['data']>() satisfies Shown;

ModelSerializer(Message, {
  fields: ['id', 'text'],
  // @ts-expect-error misspelt rights
  rights: { by: StaffRights, fields: { text: 'hrr' } },
});
ModelSerializer(Message, {
  fields: ['id', 'text'],
  // @ts-expect-error misspelt rights in a list
  rights: { by: StaffRights, fields: { text: ['hr', 'leed'] } },
});
ModelSerializer(Message, {
  fields: ['id', 'text'],
  // @ts-expect-error misspelt field
  rights: { by: StaffRights, fields: { texts: 'hr' } },
});
ModelSerializer(Message, {
  fields: ['id', 'text'],
  // @ts-expect-error a field that is not shown
  rights: { by: StaffRights, fields: { sentAt: 'hr' } },
});
ModelSerializer(Message, {
  fields: ['id', 'text'],
  // @ts-expect-error no provider of rights
  rights: { by: Message, fields: { text: 'hr' } },
});
