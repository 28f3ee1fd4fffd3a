"use client";

import { QueryClientProvider, type QueryKey } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";
import { IntlProvider } from "use-intl";
import { Toasts } from "@/components/ui/toast";
import { Gate } from "@/features/session/gate";
import { Shell } from "@/features/shell/shell";
import { Live } from "@/lib/live";
import { MESSAGES } from "@/lib/messages";
import { currentLocale, currentTheme, useLocale, usePreferences, useTheme } from "@/lib/preferences";
import { createQueryClient, SESSION } from "@/lib/query-client";
import { LiveContext } from "@/lib/use-topic";

const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What all pages share: words, server state, the live stream, and the frame around them. */
export function Providers({ children }: { children: ReactNode }) {
  const locale = useLocale();
  const [client] = useState(createQueryClient);
  const [live] = useState(() => {
    const reload = (queryKey?: QueryKey) => void client.invalidateQueries({ queryKey });
    return new Live(reload, () => reload(SESSION));
  });
  useDocument(locale);
  useEffect(() => live.followVisibility(), [live]);
  useEffect(() => {
    // the server speaks the reader's language too: load its words anew, also those that are under way
    const anew = () => void client.cancelQueries().then(() => client.invalidateQueries());
    return usePreferences.subscribe((now, before) => void (now.locale !== before.locale && anew()));
  }, [client]);
  return (
    <IntlProvider locale={locale} messages={MESSAGES[locale]} timeZone={TIME_ZONE}>
      <QueryClientProvider client={client}>
        <LiveContext value={live}>
          <Toasts>
            <Gate>
              <Shell>{children}</Shell>
            </Gate>
          </Toasts>
        </LiveContext>
      </QueryClientProvider>
    </IntlProvider>
  );
}

/** The document says its language and theme, and shows itself when it has the reader's words. */
function useDocument(locale: string): void {
  const theme = useTheme();
  useEffect(() => {
    document.documentElement.dataset.theme = currentTheme(); // `theme` is a guess while the page is being taken over
  }, [theme]);
  useEffect(() => {
    if (locale !== currentLocale()) return; // still being taken over from the exported page
    document.documentElement.lang = locale;
    document.documentElement.dataset.ready = "";
  }, [locale]);
}
