#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A legacy shop. It reads its cart from the Django session in the environment and changes it with one
# response header; it knows neither Django nor the database.
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->ascii->canonical;
my $cart = $json->decode($ENV{DJANGO_SESSION_CART} || '{}');
my @goods = (['apples', 'red and sweet'], ['bread', 'baked this morning'], ['cheese', 'old']);

sub html {
    my ($text) = @_;
    $text =~ s/([&<>"'])/'&#' . ord($1) . ';'/ge;
    return $text;
}

if ($ENV{REQUEST_METHOD} eq 'POST') {
    read(STDIN, my $form, $ENV{CONTENT_LENGTH} > 1000 ? 1000 : $ENV{CONTENT_LENGTH});
    if ($form =~ /^(add|drop)=([a-z]{1,20})$/) {
        if ($1 eq 'add') { $cart->{$2}++ }
        else             { delete $cart->{$2} }
        # This is all it takes.
        print 'Django-Session-Update: ', $json->encode({ set => { cart => $cart } }), "\n";
    }
    print "Status: 303 See Other\nLocation: $ENV{SCRIPT_NAME}\n";
    print "Content-Type: text/plain\n\n";
    exit;
}

my $rows = join '', map {
    my ($name, $about) = @$_;
    my $count = $cart->{$name} || 0;
    "<tr><td>$name<br><small>$about</small></td><td class=n>$count</td><td>"
        . "<form class=inline method=post><button name=add value=$name>Add</button></form> "
        . ($count ? "<form class=inline method=post><button name=drop value=$name>Remove</button></form>" : '')
        . "</td></tr>\n"
} @goods;
my $others = join ', ', map { html("$_: $cart->{$_}") }
    grep { my $name = $_; !grep { $_->[0] eq $name } @goods } sort keys %$cart;
my $user = html($ENV{REMOTE_USER});

print "Content-Type: text/html; charset=utf-8\n\n", <<"PAGE";
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Shop</title><link rel="stylesheet" href="/static/style.css"></head>
<body>
<header><div><strong>One login, one session</strong>
<a href="/">Home</a> <a href="/cart/">Cart</a> <a href="/legacy/shop.pl">Shop</a>
<a href="/legacy/hello.sh">Greeting</a> <a href="/inspect/">Inspector</a></div></header>
<main>
<p class="by">served by a Perl CGI</p>
<h1>Shop</h1>
<p>Good day, $user. What you put in the cart here is in Django's session at once.</p>
<table><tr><th>Goods</th><th class=n>In the cart</th><th></th></tr>
$rows</table>
<p>Put in elsewhere: ${\($others || 'nothing')}</p>
</main></body></html>
PAGE
