// Written by `signalbox api:types`. Do not edit it: run that again.

export type Api = {
  readonly rooms: {
    readonly actions: {
      readonly createMessage: ActionApi<
        {
          room: number;
          /** What is said. */
          text: string;
        },
        MessagesRow
      >;
      /** It takes no more messages. */
      readonly archive: ActionApi<{ pk: number }, RoomsRow>;
      readonly export: ActionApi<{ room: number }, { room: number; finishedAt: string }>;
      readonly countdown: ActionApi<{ room: number }, { done: boolean }, { left: number }>;
      readonly subscribeToRoom: ActionApi<{ room: number }, null>;
      readonly list: ActionApi<Record<never, never>, RoomsRow[]>;
      readonly retrieve: ActionApi<{ pk: number }, RoomsRow>;
      readonly create: ActionApi<{ data: { name: string } }, RoomsRow>;
      readonly update: ActionApi<{ data: { name: string }; pk: number }, RoomsRow>;
      readonly patch: ActionApi<{ data: { name?: string }; pk: number }, RoomsRow>;
      readonly delete: ActionApi<{ pk: number }, null>;
      readonly subscribeInstance: ActionApi<{ pk: number }, null>;
      readonly unsubscribeInstance: ActionApi<{ pk: number }, null>;
    };
    readonly observers: {
      readonly onMessage: ObserverApi<
        { room: number },
        | { readonly action: 'create' | 'update'; readonly data: MessagesRow }
        | { readonly action: 'delete'; readonly data: { pk: number } }
      >;
      readonly onAnyMessage: ObserverApi<
        { room: number },
        | { readonly action: 'create' | 'update'; readonly data: unknown }
        | { readonly action: 'delete'; readonly data: { pk: number } }
      >;
      readonly onInstance: ObserverApi<
        { pk: number },
        | { readonly action: 'create' | 'update'; readonly data: RoomsRow }
        | { readonly action: 'delete'; readonly data: { pk: number } }
      >;
    };
    readonly subscriptions: Record<never, never>;
  };
  readonly messages: {
    readonly actions: {
      readonly list: ActionApi<Record<never, never>, MessagesRow[]>;
      readonly subscribeInstance: ActionApi<{ pk: number }, null>;
      readonly unsubscribeInstance: ActionApi<{ pk: number }, null>;
    };
    readonly observers: {
      readonly onInstance: ObserverApi<
        { pk: number },
        | { readonly action: 'create' | 'update'; readonly data: MessagesRow }
        | { readonly action: 'delete'; readonly data: { pk: number } }
      >;
    };
    readonly subscriptions: Record<never, never>;
  };
};

export type MessagesRow = {
  age: number;
  id: number;
  sentAt: string;
  text: string;
  user: { id: number; username: string };
};

export type RoomsRow = {
  host: number;
  id: number;
  name: string;
  visits: string;
};

type ActionApi<Kwargs, Reply, Part = never> = {
  readonly kwargs: Kwargs;
  readonly reply: Reply;
  readonly part: Part;
};

type ObserverApi<Kwargs, Event> = { readonly kwargs: Kwargs; readonly event: Event };
