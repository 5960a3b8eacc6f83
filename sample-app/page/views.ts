/** What the server sends: the views of its serializers. */
export interface UserView {
  readonly id: number;
  readonly username: string;
}

export interface MessageView {
  readonly id: number;
  readonly text: string;
  readonly user: UserView;
  readonly createdAt: string;
}

export interface RoomSummary {
  readonly id: number;
  readonly name: string;
  readonly host: UserView;
  readonly currentUsers: readonly UserView[];
  readonly lastMessage: MessageView | null;
}

export interface RoomView extends RoomSummary {
  readonly messages: readonly MessageView[];
}

export interface RoomUsersView {
  readonly id: number;
  readonly currentUsers: readonly UserView[];
}
