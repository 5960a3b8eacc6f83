import { Migration } from '@mikro-orm/migrations';

export class CreateRooms extends Migration {
  override up(): void {
    this.addSql(`
      create table "room" (
        "id" serial primary key,
        "name" varchar(255) not null constraint "room_name_unique" unique,
        "host_id" int not null constraint "room_host_id_foreign" references "user" ("id")
      )`);
    this.addSql(`
      create table "room_current_users" (
        "room_id" int not null constraint "room_current_users_room_id_foreign"
          references "room" ("id") on update cascade on delete cascade,
        "user_id" int not null constraint "room_current_users_user_id_foreign"
          references "user" ("id") on update cascade on delete cascade,
        primary key ("room_id", "user_id")
      )`);
    this.addSql(`
      create table "message" (
        "id" serial primary key,
        "room_id" int not null constraint "message_room_id_foreign" references "room" ("id"),
        "text" varchar(500) not null,
        "user_id" int not null constraint "message_user_id_foreign" references "user" ("id"),
        "created_at" timestamptz not null
      )`);
    this.addSql('create index "message_room_id_index" on "message" ("room_id")');
  }

  override down(): void {
    this.addSql('drop table "message"');
    this.addSql('drop table "room_current_users"');
    this.addSql('drop table "room"');
  }
}
