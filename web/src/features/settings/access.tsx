"use client";

import { useQuery } from "@tanstack/react-query";
import { CopyIcon } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useTranslations } from "use-intl";
import { Card, Section } from "@/components/page";
import { Button } from "@/components/ui/button";
import { toast } from "@/components/ui/toast";
import { sessionQuery } from "@/features/session/queries";

const SignOutDialog = lazy(() => import("@/features/settings/sign-out-dialog")); // rarely needed

/** Who may come in: the address for another browser, and a new token for all. */
export function Access() {
  const t = useTranslations("settings.access");
  return (
    <Section title={t("title")}>
      <Card className="flex flex-col gap-5 text-sm">
        <OtherBrowser />
        <hr className="border-line" />
        <SignOutEverywhere />
      </Card>
    </Section>
  );
}

function OtherBrowser() {
  const t = useTranslations("settings.access");
  const session = useQuery(sessionQuery);
  const copy = async () => {
    if (!session.data) return;
    await navigator.clipboard.writeText(`${window.location.origin}/#token=${session.data.token}`);
    toast(t("copied"));
  };
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
      <div className="min-w-0 flex-1 basis-64">
        <p>{t("other")}</p>
        <p className="text-muted">{t("otherHelp")}</p>
      </div>
      <Button onClick={() => void copy()} disabled={!session.data}>
        <CopyIcon aria-hidden />
        {t("copy")}
      </Button>
    </div>
  );
}

function SignOutEverywhere() {
  const t = useTranslations("settings.access");
  const [asking, setAsking] = useState(false);
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
      <div className="min-w-0 flex-1 basis-64">
        <p>{t("signOut")}</p>
        <p className="text-muted">{t("signOutHelp")}</p>
      </div>
      <Button variant="danger" onClick={() => setAsking(true)}>
        {t("signOutAction")}
      </Button>
      <Suspense>{asking && <SignOutDialog onClose={() => setAsking(false)} />}</Suspense>
    </div>
  );
}
