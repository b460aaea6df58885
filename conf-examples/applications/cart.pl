#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A CGI program: shows the cart; a POST puts an apple in.
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->ascii->canonical;
my $cart = $json->decode($ENV{DJANGO_SESSION_CART} || '{}');
if ($ENV{REQUEST_METHOD} eq 'POST') {
    $cart->{apples}++;
    print 'Django-Session-Update: ', $json->encode({ set => { cart => $cart } }), "\n";
}
print "Content-Type: text/plain; charset=utf-8\n\n";
binmode STDOUT, ':utf8';
print "$_: $cart->{$_}\n" for sort keys %$cart;
