"""Trello as a source: the declarations. The readers stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload, parse
from ..signatures import HmacOfUrl, Signature
from ..source import Reader, SignedExample, Source, because
from . import readers

_IGNORED: Final = {
    "a card counts when it is marked complete or moved to a list of done ones": (
        "copyCard convertToCardFromCheckItem emailCard moveCardToBoard moveCardFromBoard "
        "createInboxCard copyInboxCard moveInboxCardToBoard"
    ),
    "a deleted card takes nothing back by itself: mark it incomplete before": "deleteCard",
    "an item of a checklist is no agreed piece of work; its card is": (
        "addChecklistToCard copyChecklist createChecklist updateChecklist removeChecklistFromCard "
        "createCheckItem updateCheckItem updateCheckItemStateOnCard deleteCheckItem"
    ),
    "a comment is no work that is billed": (
        "commentCard copyCommentCard updateComment deleteComment addReactionToCard voteOnCard"
    ),
    "a card's label, member, field, file or repetition is no work that is billed": (
        "addLabelToCard removeLabelFromCard addMemberToCard removeMemberFromCard "
        "updateCustomFieldItem addAttachmentToCard deleteAttachmentFromCard "
        "updateCardRecurrenceRule"
    ),
    "a list only arranges cards": (
        "createList updateList deleteList moveListFromBoard moveListToBoard"
    ),
    "a change of Trello's own setup is no work that is billed": (
        "createBoard copyBoard updateBoard createBoardPreference createBoardInvitation "
        "deleteBoardInvitation unconfirmedBoardInvitation addMemberToBoard removeMemberFromBoard "
        "addAdminToBoard removeAdminFromBoard makeAdminOfBoard makeNormalMemberOfBoard "
        "makeObserverOfBoard addBoardsPinnedToMember removeBoardsPinnedFromMember "
        "createLabel updateLabel deleteLabel createCustomField updateCustomField "
        "deleteCustomField createOrganization updateOrganization createOrganizationInvitation "
        "deleteOrganizationInvitation unconfirmedOrganizationInvitation addMemberToOrganization "
        "removeMemberFromOrganization addAdminToOrganization removeAdminFromOrganization "
        "makeAdminOfOrganization makeNormalMemberOfOrganization addToOrganizationBoard "
        "removeFromOrganizationBoard addOrganizationToEnterprise "
        "removeOrganizationFromEnterprise acceptEnterpriseJoinRequest "
        "addToEnterprisePluginWhitelist removeFromEnterprisePluginWhitelist "
        "enableEnterprisePluginWhitelist disableEnterprisePluginWhitelist enablePlugin "
        "disablePlugin removeDeprecatedPlugin enablePowerUp disablePowerUp memberJoinedTrello "
        "updateMember reopenBoard updateBoardOrg updateBoardVisibility butlerRuleFailedBoard "
        "enterpriseAdminViewedPrivateBoard changeEnterprisePublicBoardVisibility updateEnterprise "
        "addAdminToEnterprise removeAdminFromEnterprise createEnterpriseJoinRequest "
        "declineEnterpriseJoinRequest withdrawEnterpriseJoinRequest deactivatedMemberInEnterprise "
        "deactivatedMemberInOrganization reactivatedMemberInEnterprise "
        "reactivatedMemberInOrganization removedTokensFromMember removedAllTokensFromOwnedMembers "
        "enableIssuingOfConsentTokensInEnterprise disableIssuingOfConsentTokensInEnterprise "
        "trelloAddAdminToEnterprise trelloRemoveAdminFromEnterprise "
        "trelloAddOrganizationToEnterprise trelloRemoveOrganizationFromEnterprise "
        "grantEnterpriseLicense revokeEnterpriseLicense grantOrganizationLicenses"
    ),
}


class TrelloSource(Source):
    """Trello: a webhook on a board, made by its API."""

    key = "trello"
    name = "Trello"
    docs_url = "https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/"
    signature: ClassVar[Signature | None] = HmacOfUrl("X-Trello-Webhook")
    signed_example = SignedExample(
        secret="a made-up application secret",  # noqa: S106 - made up, secures nothing
        headers={"x-trello-webhook": "liXVvdao9JlSpPFk+zP0d4anXno="},
        body=b'{"action":{"id":"6611a0b1c2d3e4f5a6b7c8d9","type":"commentCard"}}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after https://developer.atlassian.com/cloud/trello/guides/"
        "rest-api/webhooks/#webhook-signatures",
        url="https://billhook.example/webhooks/trello-acme",
    )
    kinds = ("work.completed", "work.reopened")
    replay = "the action's id, which is signed with the body"
    proven = "recorded bodies of other actions, the completed ones from documentation, 2026-11-22"
    answers_head = True
    readers: ClassVar[Mapping[str, Reader]] = {
        "createCard": readers.created,
        "updateCard": readers.updated,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return payload["action"].text("type")

    def delivery_id(self, delivery: Delivery) -> str | None:
        try:
            return parse(delivery.body)["action"].identifier("id")
        except PayloadError:
            return None
