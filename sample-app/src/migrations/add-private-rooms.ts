import { Migration } from '@mikro-orm/migrations';

export class AddPrivateRooms extends Migration {
  override up(): void {
    this.addSql('alter table "room" add column "is_private" boolean not null default false');
    this.addSql(`
      create table "room_members" (
        "room_id" int not null constraint "room_members_room_id_foreign"
          references "room" ("id") on update cascade on delete cascade,
        "user_id" int not null constraint "room_members_user_id_foreign"
          references "user" ("id") on update cascade on delete cascade,
        primary key ("room_id", "user_id")
      )`);
  }

  override down(): void {
    this.addSql('drop table "room_members"');
    this.addSql('alter table "room" drop column "is_private"');
  }
}
